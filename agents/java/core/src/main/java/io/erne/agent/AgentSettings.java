package io.erne.agent;

import java.net.URI;
import java.nio.file.Path;
import java.util.Locale;
import java.util.function.Function;
import javax.net.ssl.SSLSocketFactory;

/** What an operator sets where the application runs. Everything else comes from the gateway as the {@link Profile}. */
public final class AgentSettings {
    /** The gateway's address; a path in it is kept as a prefix. */
    public URI gateway;
    public String id;
    public String secret;
    public String application = "java";
    /** Tells instances of one application apart; the host's name unless set. */
    public String instance = Host.name();
    /** For the inventory: {@code Spring Boot 3.5.7}. */
    public String framework = "servlet";
    /** Profile cache and stored transactions. */
    public Path dataDir;
    /** The mode until the gateway or the cache has given a profile. */
    public Mode mode = Mode.MONITOR;
    /** How long the start waits for the first profile if there is none in the cache, in milliseconds. */
    public int startWaitMs = 2_000;
    /** Transactions that wait to be sent in monitor mode. */
    public int queueItemsMax = 1_024;
    /** And their bytes. */
    public long queueBytesMax = 16L << 20;
    /** Bytes of stored transactions on disk; the oldest go first. */
    public long storeBytesMax = 64L << 20;
    /** How often stored transactions are forwarded, in milliseconds. */
    public int forwardMs = 5_000;
    /** For a private certificate authority; the JVM's own trust store unless set. */
    public SSLSocketFactory tls = (SSLSocketFactory) SSLSocketFactory.getDefault();

    /**
     * Reads {@code erne.agent.gateway}, {@code erne.agent.id} and so on by {@code read}, which gives null for what is not set.
     */
    public static AgentSettings from(Function<String, String> read) {
        AgentSettings settings = new AgentSettings();
        String gateway = read.apply("gateway");
        settings.gateway = gateway == null || gateway.isBlank() ? null : URI.create(gateway.strip());
        settings.id = read.apply("id");
        settings.secret = read.apply("secret");
        settings.application = or(read.apply("application"), settings.application);
        settings.instance = or(read.apply("instance"), settings.instance);
        String dir = read.apply("data-dir");
        settings.dataDir = dir == null ? null : Path.of(dir);
        settings.mode = Mode.of(or(read.apply("mode"), settings.mode.text()));
        settings.startWaitMs = number(read, "start-wait-ms", settings.startWaitMs);
        settings.queueItemsMax = number(read, "queue-items-max", settings.queueItemsMax);
        settings.storeBytesMax = number(read, "store-bytes-max", (int) settings.storeBytesMax);
        settings.forwardMs = number(read, "forward-ms", settings.forwardMs);
        return settings;
    }

    /** System properties {@code erne.agent.…}, then environment variables {@code ERNE_AGENT_…}. */
    public static AgentSettings fromEnvironment() {
        return from(name -> {
            String property = System.getProperty("erne.agent." + name);
            return property != null ? property : System.getenv("ERNE_AGENT_" + name.toUpperCase(Locale.ROOT).replace('-', '_'));
        });
    }

    private static String or(String value, String absent) {
        return value == null || value.isBlank() ? absent : value.strip();
    }

    private static int number(Function<String, String> read, String name, int absent) {
        String value = read.apply(name);
        return value == null || value.isBlank() ? absent : Integer.parseInt(value.strip());
    }

    /** Whether there is a gateway to talk to. */
    public boolean complete() {
        return gateway != null && id != null && !id.isBlank() && secret != null && !secret.isBlank();
    }

    Path directory() {
        if (dataDir != null) {
            return dataDir;
        }
        String name = (application + "-" + id).replaceAll("[^A-Za-z0-9._-]", "_");
        return Path.of(System.getProperty("user.home", "."), ".erne-agent", name.length() > 100 ? name.substring(0, 100) : name);
    }
}
