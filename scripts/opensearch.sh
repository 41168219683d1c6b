#!/usr/bin/env bash
# A private OpenSearch server for tests: scripts/opensearch.sh [fetch]
#
# Its parts come from Maven Central by name into .erne/opensearch (42 MB, once; `fetch` does only that) and are put
# together here as the distribution has them; see scripts/server.sh for the rest. It refuses to run as root: then the user
# "nobody" runs it.
cd "$(dirname "$0")/.."
. scripts/server.sh
ports_wanted=2
patience_secs=120
version=2.19.0
log4j=2.21.0
parts=$PWD/.erne/opensearch/$version

pom() { # FOLDER GROUP:ARTIFACT:VERSION…
    local folder=$1
    shift
    mkdir -p "$folder"
    {
        echo '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        echo '<groupId>erne</groupId><artifactId>opensearch</artifactId><version>1</version><dependencies>'
        for name in "$@"; do
            IFS=: read -r group artifact number <<< "$name"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$number</version></dependency>"
        done
        echo '</dependencies></project>'
    } > "$folder/pom.xml"
    (cd "$folder" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=jars > mvn.log 2>&1) || { tail -n 5 "$folder/mvn.log" >&2; die "Maven cannot fetch OpenSearch"; }
}

fetch() {
    [ ! -f "$parts/complete" ] || return 0
    command -v mvn > /dev/null || die "there is no mvn here: scripts/setup.sh test installs it (package maven)"
    rm -rf "$parts"
    pom "$parts/server" "org.opensearch:opensearch:$version" "org.opensearch:opensearch-plugin-classloader:$version" \
        "org.apache.logging.log4j:log4j-core:$log4j"
    pom "$parts/transport" "org.opensearch.plugin:transport-netty4-client:$version"
    # What the server has, its module must not bring again.
    for jar in "$parts/transport/jars"/*.jar; do
        [ ! -e "$parts/server/jars/$(basename "$jar")" ] || rm "$jar"
    done
    touch "$parts/complete"
}

# Standard output is for the URL.
fetch >&2
[ "${1:-}" != fetch ] || exit 0

folder opensearch
mkdir -p "$dir"/{config,data,logs,plugins,lib,modules/transport-netty4}
cp "$parts/server/jars"/*.jar "$dir/lib/"
cp "$parts/transport/jars"/*.jar "$dir/modules/transport-netty4/"
cat > "$dir/modules/transport-netty4/plugin-descriptor.properties" <<END
name=transport-netty4
description=HTTP and the nodes' own protocol
version=$version
opensearch.version=$version
java.version=11
classname=org.opensearch.transport.Netty4Plugin
END
echo 'grant { permission java.security.AllPermission; };' > "$dir/modules/transport-netty4/plugin-security.policy"
printf 'rootLogger.level = warn\nrootLogger.appenderRef.out.ref = out\nappender.out.type = Console\nappender.out.name = out\nappender.out.layout.type = PatternLayout\nappender.out.layout.pattern = %%p %%c{1}: %%m%%n\n' > "$dir/config/log4j2.properties"
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups)
    chown -R nobody "$dir"
fi
chmod 0755 "$dir"

launch() {
    cat > "$dir/config/opensearch.yml" <<END
cluster.name: erne-test
discovery.type: single-node
network.host: 127.0.0.1
http.port: $port
transport.port: ${ports[1]}
bootstrap.system_call_filter: false
cluster.routing.allocation.disk.threshold_enabled: false
END
    cd "$dir"
    exec "${as[@]}" java -Xms384m -Xmx384m -XX:TieredStopAtLevel=1 -Djava.security.manager=allow -Dopensearch.path.home="$dir" \
        -Dopensearch.path.conf="$dir/config" -Dopensearch.distribution.type=tar -cp 'lib/*' org.opensearch.bootstrap.OpenSearch
}
answers() { curl -fs "http://127.0.0.1:$port/_cluster/health?wait_for_status=yellow&timeout=1s"; }
url() { printf 'http://127.0.0.1:%s\n' "$port"; }
serve
