package io.erne.agent;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Speaks the agents' surface, checks every signature, and finds {@code ' OR '1'='1} and {@code <script}: enough to test agents. */
public final class StandInGateway implements AutoCloseable {
    public static final String ID = "agt_test";
    public static final String SECRET = "c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtMDEyMzQ";
    private static final Pattern CREDENTIAL = Pattern.compile("ERNE-HMAC-SHA256 id=([^,]+),ts=([0-9]+),nonce=([A-Za-z0-9_-]{16,64}),sig=([0-9a-f]{64})");

    static {
        System.setProperty("sun.net.httpserver.nodelay", "true");
    }

    public final List<Map<String, Object>> inspected = new CopyOnWriteArrayList<>();
    public final List<Map<String, Object>> events = new CopyOnWriteArrayList<>();
    public final List<Map<String, Object>> hellos = new CopyOnWriteArrayList<>();
    public final AtomicInteger refused = new AtomicInteger();
    public final Set<InetSocketAddress> peers = java.util.concurrent.ConcurrentHashMap.newKeySet();
    private final Set<String> keys = new HashSet<>();
    private final Set<String> nonces = new HashSet<>();
    public volatile int delayMs;
    public volatile int answerStatus = 200;
    private volatile String profile;
    private volatile long version;
    private volatile long polled;
    private HttpServer server;
    private ExecutorService executor;
    private int port;

    public StandInGateway(String profile) throws IOException {
        setProfile(profile);
        up();
    }

    /** {@code members} of a profile without its version, which grows by itself: {@code "mode":"protection"}. */
    public synchronized void setProfile(String members) {
        version++;
        profile = "{\"version\":" + version + "," + members + "}";
        notifyAll();
    }

    public URI uri() {
        return URI.create("http://127.0.0.1:" + port);
    }

    /** Settings of an agent that knows this gateway. */
    public AgentSettings settings(java.nio.file.Path directory) {
        AgentSettings settings = new AgentSettings();
        settings.gateway = uri();
        settings.id = ID;
        settings.secret = SECRET;
        settings.dataDir = directory;
        settings.forwardMs = 100;
        return settings;
    }

    /** Listens, on the same port as before. */
    public void up() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
        port = server.getAddress().getPort();
        executor = Executors.newCachedThreadPool();
        server.setExecutor(executor);
        server.createContext("/", this::handle);
        server.start();
    }

    public void down() {
        server.stop(0);
        executor.shutdownNow();
    }

    /** Whether an agent has polled with the present version, so that it acts by it. */
    public boolean delivered() {
        return polled == version;
    }

    public static void await(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + 20_000_000_000L;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError("not within 20 s: " + what);
            }
            java.util.concurrent.locks.LockSupport.parkNanos(5_000_000);
        }
    }

    private void handle(HttpExchange exchange) throws IOException {
        peers.add(exchange.getRemoteAddress());
        byte[] body = exchange.getRequestBody().readAllBytes();
        try {
            if (!signed(exchange, body)) {
                refused.incrementAndGet();
                answer(exchange, 401, "{\"type\":\"/agent-signature\"}");
                return;
            }
            switch (exchange.getRequestURI().getPath()) {
                case "/api/v1/inspect" -> inspect(exchange, body);
                case "/api/v1/agent/events" -> takeEvents(exchange, body);
                case "/api/v1/agent/hello" -> {
                    hellos.add(Json.object(new String(body, StandardCharsets.UTF_8)));
                    answer(exchange, 200, "{\"profile\":" + profile + ",\"heartbeat_secs\":1,\"server_time\":\"2026-01-01T00:00:00Z\"}");
                }
                case "/api/v1/agent/profile" -> profile(exchange);
                default -> answer(exchange, 404, "{}");
            }
        } catch (Json.JsonException e) {
            answer(exchange, 400, "{}");
        } catch (InterruptedException e) {
            exchange.close();
        }
    }

    private boolean signed(HttpExchange exchange, byte[] body) {
        Matcher m = CREDENTIAL.matcher(String.valueOf(exchange.getRequestHeaders().getFirst("Authorization")));
        if (!m.matches() || !m.group(1).equals(ID)) {
            return false;
        }
        long at = Long.parseLong(m.group(2));
        String expected = new Signer(ID, SECRET).authorization(exchange.getRequestMethod(), exchange.getRequestURI().toString(), body, at, m.group(3));
        synchronized (nonces) {
            return expected.endsWith(m.group(4)) && Math.abs(System.currentTimeMillis() / 1000 - at) <= 300 && nonces.add(m.group(3));
        }
    }

    private static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", status < 400 ? "application/json" : "application/problem+json");
        exchange.sendResponseHeaders(status, status == 304 || bytes.length == 0 ? -1 : bytes.length);
        if (status != 304) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
    }

    private void inspect(HttpExchange exchange, byte[] body) throws IOException, Json.JsonException, InterruptedException {
        Map<String, Object> transaction = Json.object(new String(body, StandardCharsets.UTF_8));
        transaction.put("traceparent", exchange.getRequestHeaders().getFirst("traceparent"));
        inspected.add(transaction);
        // In steps, so that setting it back lets go those who wait.
        for (int slept = 0; slept < delayMs; slept += 10) {
            Thread.sleep(10);
        }
        if (answerStatus != 200) {
            answer(exchange, answerStatus, "{\"title\":\"broken on purpose\"}");
            return;
        }
        boolean attack = attack(transaction);
        Map<String, Object> verdict = new LinkedHashMap<>();
        verdict.put("id", transaction.get("id"));
        verdict.put("verdict", attack ? "attack" : "allow");
        verdict.put("action", attack && profile.contains("\"protection\"") ? "block" : "allow");
        verdict.put("score", attack ? 0.9 : 0.0);
        verdict.put("profile_version", version);
        answer(exchange, 200, Json.write(verdict));
    }

    private static boolean attack(Map<String, Object> transaction) {
        StringBuilder all = new StringBuilder(String.valueOf(transaction.get("uri")));
        if (transaction.get("body_b64") instanceof String text) {
            all.append('\n').append(new String(Base64.getDecoder().decode(text), StandardCharsets.ISO_8859_1));
        }
        all.append(transaction.get("headers"));
        String plain;
        try {
            plain = URLDecoder.decode(all.toString().replaceAll("%(?![0-9A-Fa-f]{2})", "%25"), StandardCharsets.ISO_8859_1);
        } catch (IllegalArgumentException e) {
            plain = all.toString();
        }
        return plain.contains("' OR '1'='1") || plain.contains("<script");
    }

    @SuppressWarnings("unchecked")
    private void takeEvents(HttpExchange exchange, byte[] body) throws IOException, Json.JsonException {
        List<Map<String, Object>> items = (List<Map<String, Object>>) Json.object(new String(body, StandardCharsets.UTF_8)).get("items");
        String key = exchange.getRequestHeaders().getFirst("Idempotency-Key");
        synchronized (keys) {
            if (key != null && keys.add(key)) {
                events.addAll(items);
            }
        }
        answer(exchange, 202, "{\"accepted\":" + items.size() + "}");
    }

    private void profile(HttpExchange exchange) throws IOException, InterruptedException {
        Map<String, String> query = new LinkedHashMap<>();
        for (String pair : exchange.getRequestURI().getQuery().split("&")) {
            query.put(pair.split("=")[0], pair.split("=")[1]);
        }
        long known = Long.parseLong(query.get("version"));
        polled = known;
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Long.parseLong(query.get("wait")));
        synchronized (this) {
            while (known == version && System.nanoTime() < end) {
                wait(Math.max(1, (end - System.nanoTime()) / 1_000_000));
            }
        }
        if (known == version) {
            answer(exchange, 304, "");
        } else {
            answer(exchange, 200, profile);
        }
    }

    /** Transactions inspected whose URI holds {@code text}. */
    public List<Map<String, Object>> inspectedOf(String text) {
        List<Map<String, Object>> found = new ArrayList<>();
        for (Map<String, Object> transaction : inspected) {
            if (String.valueOf(transaction.get("uri")).contains(text)) {
                found.add(transaction);
            }
        }
        return found;
    }

    @Override
    public void close() {
        down();
    }
}
