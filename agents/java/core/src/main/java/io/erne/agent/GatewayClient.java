package io.erne.agent;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import javax.net.ssl.SSLSocketFactory;

/** The calls of the agent's surface, signed. */
final class GatewayClient implements AutoCloseable {
    private final GatewayConnections connections;
    private final Signer signer;
    private final String base;

    /** The gateway answered, but not with what was asked for. */
    static final class Refused extends IOException {
        final int status;

        Refused(int status, String body) {
            super("the gateway answered " + status + ": " + (body.length() > 300 ? body.substring(0, 300) : body).replaceAll("\\s+", " "));
            this.status = status;
        }

        /** Whether the same request may be accepted later. */
        boolean passes() {
            return status == 401 || status == 403 || status == 404 || status == 408 || status == 429 || status >= 500;
        }
    }

    GatewayClient(URI gateway, String id, String secret, SSLSocketFactory factory, ScheduledThreadPoolExecutor timer) {
        this.connections = new GatewayConnections(gateway, factory, timer);
        this.signer = new Signer(id, secret);
        String path = gateway.getRawPath() == null ? "" : gateway.getRawPath();
        this.base = path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    }

    private GatewayConnections.Response call(String method, String path, byte[] body, Map<String, String> more, long timeoutMs) throws IOException {
        String target = base + path;
        return connections.exchange(method, target, body, () -> {
            Map<String, String> headers = new LinkedHashMap<>(more);
            headers.put("Authorization", signer.authorization(method, target, body, System.currentTimeMillis() / 1000));
            return headers;
        }, timeoutMs);
    }

    private static String expect(GatewayConnections.Response response, int status) throws Refused {
        if (response.status() != status) {
            throw new Refused(response.status(), response.text());
        }
        return response.text();
    }

    /** The verdict's JSON. */
    String inspect(byte[] transaction, TraceContext trace, long timeoutMs) throws IOException {
        return expect(call("POST", "/api/v1/inspect", transaction, Map.of("traceparent", trace.child()), timeoutMs), 200);
    }

    void events(byte[] items, String key, long timeoutMs) throws IOException {
        expect(call("POST", "/api/v1/agent/events", items, Map.of("Idempotency-Key", key), timeoutMs), 202);
    }

    String hello(String body, long timeoutMs) throws IOException {
        return expect(call("POST", "/api/v1/agent/hello", body.getBytes(StandardCharsets.UTF_8), Map.of(), timeoutMs), 200);
    }

    /** The profile's JSON once its version is not {@code version}; null if it still is after {@code waitSecs}. */
    String profile(long version, int waitSecs) throws IOException {
        String path = "/api/v1/agent/profile?version=" + version + "&wait=" + waitSecs;
        GatewayConnections.Response response = call("GET", path, new byte[0], Map.of(), waitSecs * 1000L + 10_000);
        return response.status() == 304 ? null : expect(response, 200);
    }

    void reap() {
        connections.reap();
    }

    @Override
    public void close() {
        connections.close();
    }
}
