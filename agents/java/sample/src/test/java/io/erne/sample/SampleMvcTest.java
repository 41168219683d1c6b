package io.erne.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.erne.agent.AppProcess;
import io.erne.agent.RawHttp;
import io.erne.agent.RawHttp.Answer;
import io.erne.agent.StandInGateway;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The MVC sample on Tomcat, once without and once with the agent, under real HTTP. */
class SampleMvcTest {
    static final String MAIN = "io.erne.sample.SampleApplication";
    private static final String PROTECTION = "\"mode\":\"protection\",\"timeout_ms\":5000,\"body_max\":16384";

    @TempDir
    static Path directory;
    private static StandInGateway gateway;
    private static AppProcess plain;
    private static AppProcess guarded;

    @BeforeAll
    static void start() throws IOException {
        gateway = new StandInGateway(PROTECTION);
        plain = AppProcess.launch(MAIN);
        guarded = AppProcess.launch(MAIN, AppProcess.agent(gateway, directory));
        plain.port();
        guarded.port();
    }

    @AfterAll
    static void stop() {
        assertTrue(guarded.stop(), "the application with the agent ends when told to");
        plain.close();
        gateway.close();
    }

    @BeforeEach
    void reset() {
        gateway.delayMs = 0;
        gateway.answerStatus = 200;
    }

    /** Sets a profile and waits until the agent acts by it: its long poll has asked again with the new version. */
    private static void profile(String members) {
        gateway.setProfile(members);
        StandInGateway.await("the agent has the profile", gateway::delivered);
    }

    private static void same(String what, Request request) throws IOException {
        Answer without = request.send(plain.port());
        Answer with = request.send(guarded.port());
        assertEquals(without.toString(), with.toString(), what);
        assertArrayEquals(without.body(), with.body(), what);
    }

    private interface Request {
        Answer send(int port) throws IOException;
    }

    private static byte[] multipart(String boundary, Object... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int i = 0; i < parts.length; i += 2) {
            out.writeBytes(RawHttp.bytes("--" + boundary + "\r\nContent-Disposition: form-data; " + parts[i] + "\r\n\r\n"));
            out.writeBytes((byte[]) parts[i + 1]);
            out.writeBytes(RawHttp.bytes("\r\n"));
        }
        out.writeBytes(RawHttp.bytes("--" + boundary + "--\r\n"));
        return out.toByteArray();
    }

    private static byte[] random(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static byte[] gzip(byte[] bytes) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream zip = new GZIPOutputStream(out)) {
            zip.write(bytes);
        }
        return out.toByteArray();
    }

    private static Map<String, Request> benign() throws IOException {
        Map<String, Request> all = new LinkedHashMap<>();
        String form = "application/x-www-form-urlencoded";
        all.put("query", port -> RawHttp.get(port, "/search?q=caf%C3%A9+au+lait"));
        all.put("path", port -> RawHttp.get(port, "/items/17"));
        all.put("form", port -> RawHttp.post(port, "/form?a=0", form, RawHttp.bytes("a=1&a=2&b=%C3%A4+%26&empty=&bare&=x&bad=%zz&c=3")));
        all.put("form, bound", port -> RawHttp.post(port, "/bound", form, RawHttp.bytes("name=Bj%C3%B6rk&comment=hello+you")));
        all.put("form, missing field", port -> RawHttp.post(port, "/bound", form, RawHttp.bytes("comment=x")));
        all.put("form, latin1", port -> RawHttp.post(port, "/form", form + ";charset=ISO-8859-1", RawHttp.bytes("a=%E4&b=\u00e4")));
        all.put("form, larger than is looked at", port -> RawHttp.post(port, "/form", form, RawHttp.bytes("a=" + "x".repeat(100_000) + "&b=end")));
        all.put("form, larger than Tomcat takes", port -> RawHttp.post(port, "/form", form, RawHttp.bytes("a=" + "x".repeat(2_200_000) + "&b=end")));
        all.put("form, chunked", port -> RawHttp.send(port, "POST /form HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: " + form,
            RawHttp.chunk(RawHttp.bytes("a=1&")), RawHttp.chunk(RawHttp.bytes("b=2")), RawHttp.chunk(new byte[0])));
        all.put("form, by PUT", port -> RawHttp.send(port, "PUT /form HTTP/1.1\nContent-Type: " + form + "\nContent-Length: 3", RawHttp.bytes("a=1")));
        all.put("json", port -> RawHttp.post(port, "/json", "application/json", "{\"n\":1,\"text\":\"\u00fc\"}".getBytes(StandardCharsets.UTF_8)));
        all.put("json, broken", port -> RawHttp.post(port, "/json", "application/json", RawHttp.bytes("{\"n\":")));
        all.put("json, utf-16", port -> RawHttp.post(port, "/json", "application/json;charset=UTF-16", "{\"n\":1}".getBytes(StandardCharsets.UTF_16)));
        all.put("raw, empty", port -> RawHttp.post(port, "/raw", "application/octet-stream", new byte[0]));
        all.put("raw, not UTF-8", port -> RawHttp.post(port, "/raw", "text/plain", random(5_000)));
        all.put("raw, 3 MB", port -> RawHttp.post(port, "/raw", "application/octet-stream", random(3_000_000)));
        all.put("raw, exactly what is looked at", port -> RawHttp.post(port, "/raw", "application/octet-stream", random(16_384)));
        all.put("raw, gzip", port -> {
            byte[] zipped = gzip(random(2_000));
            return RawHttp.post(port, "/raw", "text/plain", zipped, "Content-Encoding: gzip");
        });
        all.put("raw, no type", port -> RawHttp.send(port, "POST /raw HTTP/1.1\nContent-Length: 5", RawHttp.bytes("a=b&c")));
        all.put("reader", port -> RawHttp.post(port, "/reader", "text/plain;charset=UTF-8", "z\u00e9ro\nun\n".getBytes(StandardCharsets.UTF_8)));
        all.put("reader, unknown charset", port -> RawHttp.post(port, "/reader", "text/plain;charset=nonsense", RawHttp.bytes("a")));
        all.put("parameters, then stream", port -> RawHttp.post(port, "/both", form, RawHttp.bytes("name=x")));
        all.put("stream of no form", port -> RawHttp.post(port, "/both?name=q", "text/plain", RawHttp.bytes("name=x")));
        byte[] small = multipart("b0", "name=\"note\"", RawHttp.bytes("hi"), "name=\"file\"; filename=\"a.bin\"\r\nContent-Type: image/png", random(900));
        all.put("upload", port -> RawHttp.post(port, "/upload", "multipart/form-data; boundary=b0", small));
        all.put("upload, parts", port -> RawHttp.post(port, "/parts", "multipart/form-data; boundary=\"b0\"", small));
        all.put("upload, name in UTF-8", port -> RawHttp.post(port, "/upload", "multipart/form-data; boundary=b0", multipart("b0",
            "name=\"file\"; filename=\"" + new String("n\u00e4me.txt".getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1) + "\"", RawHttp.bytes("x"))));
        all.put("upload, 900 kB", port -> RawHttp.post(port, "/upload", "multipart/form-data; boundary=b0", multipart("b0",
            "name=\"file\"; filename=\"big.bin\"", random(900_000), "name=\"note\"", RawHttp.bytes("after"))));
        all.put("upload, broken", port -> RawHttp.post(port, "/upload", "multipart/form-data; boundary=b0", RawHttp.bytes("--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx")));
        all.put("upload, no boundary", port -> RawHttp.post(port, "/parts", "multipart/form-data", small));
        all.put("echo, 1 MB chunked", port -> RawHttp.send(port, "POST /echo HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: application/octet-stream",
            RawHttp.chunk(random(500_000)), RawHttp.chunk(random(1)), RawHttp.chunk(random(500_001)), RawHttp.chunk(new byte[0])));
        all.put("streaming", port -> RawHttp.get(port, "/stream"));
        all.put("server-sent events", port -> RawHttp.get(port, "/events"));
        all.put("asynchronous", port -> RawHttp.get(port, "/later"));
        all.put("large answer", port -> RawHttp.get(port, "/large"));
        all.put("204", port -> RawHttp.send(port, "DELETE /items/3 HTTP/1.1"));
        all.put("HEAD", port -> RawHttp.send(port, "HEAD /search?q=x HTTP/1.1"));
        all.put("OPTIONS", port -> RawHttp.send(port, "OPTIONS /search HTTP/1.1"));
        all.put("cookies", port -> RawHttp.get(port, "/cookies", "Cookie: a=1; b=2"));
        all.put("redirect", port -> RawHttp.get(port, "/redirect"));
        all.put("304", port -> RawHttp.get(port, "/status?code=304"));
        all.put("not found", port -> RawHttp.get(port, "/nowhere", "Accept: text/plain"));
        all.put("wrong method", port -> RawHttp.get(port, "/form", "Accept: text/plain"));
        all.put("bad request line", port -> RawHttp.send(port, "GET /a{b HTTP/1.1"));
        return all;
    }

    /** Answers that carry a time of day are compared without it. */
    private static Answer timeless(Answer answer) {
        return new Answer(answer.head(), answer.text().replaceAll("\"timestamp\":\"[^\"]*\"", "").getBytes(StandardCharsets.UTF_8));
    }

    @Test
    void benignRequestsAreAnsweredByteForByteAsWithoutTheAgent() throws IOException {
        for (String mode : new String[] {"protection", "monitor", "lite"}) {
            profile("\"mode\":\"" + mode + "\",\"timeout_ms\":5000,\"body_max\":16384");
            for (Map.Entry<String, Request> each : benign().entrySet()) {
                same(mode + ": " + each.getKey(), port -> timeless(each.getValue().send(port)));
            }
            same(mode + ": error of the application", port -> timeless(RawHttp.get(port, "/fails")));
        }
        profile(PROTECTION);
    }

    /** Tomcat remembers within the request that it refused an upload, and then gives no error page; the agent's refusal gives one. */
    @Test
    void anUploadLargerThanAllowedIsRefusedWithTheSameStatus() throws IOException {
        profile(PROTECTION);
        byte[] upload = multipart("b0", "name=\"file\"; filename=\"big.bin\"", random(1_200_000));
        assertEquals(413, RawHttp.post(plain.port(), "/upload", "multipart/form-data; boundary=b0", upload).status());
        assertEquals(413, RawHttp.post(guarded.port(), "/upload", "multipart/form-data; boundary=b0", upload).status());
    }

    @Test
    void attacksAreBlockedBeforeTheHandlerRuns() throws IOException {
        profile(PROTECTION);
        String handled = RawHttp.get(guarded.port(), "/handled").text();
        String attack = "' OR '1'='1";
        String encoded = "%27%20OR%20%271%27=%271";
        List<Answer> answers = new ArrayList<>();
        answers.add(RawHttp.get(guarded.port(), "/search?q=" + encoded));
        answers.add(RawHttp.post(guarded.port(), "/form", "application/x-www-form-urlencoded", RawHttp.bytes("a=" + encoded)));
        answers.add(RawHttp.post(guarded.port(), "/json", "application/json", RawHttp.bytes("{\"a\":\"" + attack + "\"}")));
        answers.add(RawHttp.post(guarded.port(), "/raw", "text/plain", gzip(RawHttp.bytes(attack)), "Content-Encoding: gzip"));
        answers.add(RawHttp.post(guarded.port(), "/upload", "multipart/form-data; boundary=b", multipart("b", "name=\"note\"", RawHttp.bytes(attack))));
        answers.add(RawHttp.send(guarded.port(), "POST /raw HTTP/1.1\nTransfer-Encoding: chunked", RawHttp.chunk(RawHttp.bytes("' OR ")), RawHttp.chunk(RawHttp.bytes("'1'='1")), RawHttp.chunk(new byte[0])));
        answers.add(RawHttp.get(guarded.port(), "/search", "X-Search: <script>alert(1)</script>"));
        for (Answer answer : answers) {
            assertEquals(403, answer.status(), answer.toString());
            assertTrue(answer.text().contains("Request blocked"), answer.toString());
            assertEquals("no-store", answer.header("Cache-Control"));
        }
        Answer json = RawHttp.get(guarded.port(), "/search?q=" + encoded, "Accept: application/json");
        assertEquals("application/problem+json", json.header("Content-Type"));
        Answer head = RawHttp.send(guarded.port(), "HEAD /search?q=" + encoded + " HTTP/1.1");
        assertEquals(403, head.status());
        assertEquals(0, head.body().length);
        assertEquals(handled, RawHttp.get(guarded.port(), "/handled").text(), "no handler ran");
        assertEquals(0, gateway.refused.get(), "every signature was right");
    }

    @Test
    void secretsAndFilesStayInTheProcess() throws Exception {
        profile(PROTECTION);
        byte[] file = random(4_000);
        RawHttp.post(guarded.port(), "/upload?token=hush1&redact=1", "multipart/form-data; boundary=b", multipart("b", "name=\"password\"", RawHttp.bytes("hush2"),
            "name=\"file\"; filename=\"x.png\"\r\nContent-Type: image/png", file), "Authorization: Bearer hush3", "Cookie: sid=hush4");
        RawHttp.post(guarded.port(), "/json?redact=2", "application/json", RawHttp.bytes("{\"user\":{\"password\":\"hush5\",\"name\":\"kim\"}}"));
        Map<String, Object> upload = gateway.inspectedOf("redact=1").get(0);
        String body = new String(Base64.getDecoder().decode((String) upload.get("body_b64")), StandardCharsets.ISO_8859_1);
        String all = upload + body + new String(Base64.getDecoder().decode((String) gateway.inspectedOf("redact=2").get(0).get("body_b64")), StandardCharsets.UTF_8);
        assertFalse(all.contains("hush"), all);
        assertTrue(all.contains("kim") && all.contains("Bearer [redacted]"), all);
        Map<?, ?> described = (Map<?, ?>) ((List<?>) upload.get("files")).get(0);
        assertEquals("x.png", described.get("name"));
        assertEquals(4_000L, described.get("size"));
        assertEquals(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(file)), described.get("sha256"));
        assertEquals(HexFormat.of().formatHex(file, 0, 64), described.get("magic"));
        assertTrue(body.length() < 1_000, "the file was left out");
    }

    @Test
    void filesLargerThanWhatIsLookedAtAreHashedAsTheyPass() throws Exception {
        profile(PROTECTION);
        byte[] file = random(300_000);
        RawHttp.post(guarded.port(), "/upload?late=1", "multipart/form-data; boundary=b", multipart("b", "name=\"file\"; filename=\"x.bin\"", file));
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(file));
        StandInGateway.await("the event with the hash", () -> gateway.events.stream().anyMatch(e -> e.toString().contains(hash)));
    }

    @Test
    void secureHeadersAreAddedAndNeverReplaced() throws IOException {
        profile(PROTECTION + ",\"secure_headers\":{\"X-Frame-Options\":\"SAMEORIGIN\",\"X-Content-Type-Options\":\"nosniff\"}");
        for (String path : new String[] {"/search", "/stream", "/events", "/later", "/large", "/nowhere", "/redirect", "/status?code=304"}) {
            Answer answer = RawHttp.get(guarded.port(), path);
            assertEquals("nosniff", answer.header("X-Content-Type-Options"), path + "\n" + answer);
            assertEquals("SAMEORIGIN", answer.header("X-Frame-Options"), path);
        }
        Answer framed = RawHttp.get(guarded.port(), "/framed");
        assertEquals(1, framed.head().stream().filter(h -> h.toLowerCase().startsWith("x-frame-options")).count());
        assertEquals("DENY", framed.header("X-Frame-Options"));
        Answer blocked = RawHttp.get(guarded.port(), "/search?q=<script".replace("<", "%3C"));
        assertEquals("nosniff", blocked.header("X-Content-Type-Options"));
        profile(PROTECTION);
    }

    @Test
    void bansAndRateLimitsHoldBehindTrustedProxiesOnly() throws IOException {
        profile(PROTECTION + ",\"bans\":[{\"cidr\":\"192.0.2.0/24\",\"reason\":\"scanner\"},{\"cidr\":\"198.51.100.1\",\"until\":\"2020-01-01T00:00:00Z\"}],"
            + "\"trusted_proxies\":[\"127.0.0.0/8\",\"10.0.0.0/8\"],\"rate_limit\":{\"requests\":3,\"per_secs\":60}");
        int port = guarded.port();
        assertEquals(403, RawHttp.get(port, "/search", "X-Forwarded-For: 192.0.2.7").status());
        assertEquals(403, RawHttp.get(port, "/search", "X-Forwarded-For: 203.0.113.1, 192.0.2.7, 10.1.1.1").status());
        assertEquals(200, RawHttp.get(port, "/search", "X-Forwarded-For: 192.0.2.7, 203.0.113.99").status(), "left of an untrusted hop nothing counts");
        assertEquals(200, RawHttp.get(port, "/search", "X-Forwarded-For: 198.51.100.1").status(), "an expired ban");
        for (int i = 0; i < 3; i++) {
            assertEquals(200, RawHttp.get(port, "/search", "X-Forwarded-For: 203.0.113.5").status());
        }
        Answer limited = RawHttp.get(port, "/search", "X-Forwarded-For: 203.0.113.5");
        assertEquals(429, limited.status());
        assertNotNull(limited.header("Retry-After"));
        profile(PROTECTION);
        assertEquals(200, RawHttp.get(port, "/search", "X-Forwarded-For: 192.0.2.7").status());
    }

    @Test
    void routesHaveModesOfTheirOwn() throws IOException {
        profile(PROTECTION + ",\"routes\":[{\"path\":\"/items/**\",\"mode\":\"off\"},{\"path\":\"/search\",\"mode\":\"monitor\"}]");
        assertEquals(200, RawHttp.get(guarded.port(), "/search?q=%3Cscript&watched=1").status());
        StandInGateway.await("it is inspected beside the handler", () -> !gateway.inspectedOf("watched=1").isEmpty());
        assertEquals("/search", gateway.inspectedOf("watched=1").get(0).get("route"));
        assertEquals(200, RawHttp.get(guarded.port(), "/items/%3Cscript").status());
        assertTrue(gateway.inspectedOf("/items/%3Cscript").isEmpty());
        profile(PROTECTION);
    }

    @Test
    void tracesGoOn() throws IOException {
        profile(PROTECTION);
        RawHttp.get(guarded.port(), "/search?traced=1", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        Map<String, Object> transaction = gateway.inspectedOf("traced=1").get(0);
        assertEquals("4bf92f3577b34da6a3ce929d0e0e4736", transaction.get("trace_id"));
        assertTrue(String.valueOf(transaction.get("traceparent")).matches("00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01"));
    }

    @Test
    void sixtyFourClientsAtOnceReuseConnections() throws Exception {
        profile(PROTECTION);
        int before = gateway.peers.size();
        ExecutorService clients = Executors.newFixedThreadPool(64);
        List<Callable<Integer>> tasks = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            int client = i;
            tasks.add(() -> {
                int right = 0;
                for (int k = 0; k < 10; k++) {
                    boolean attack = (client + k) % 5 == 0;
                    String target = "/search?q=" + (attack ? "%3Cscript" : "c" + client + "k" + k);
                    Answer answer = RawHttp.get(guarded.port(), target);
                    boolean expected = attack ? answer.status() == 403 : answer.status() == 200 && answer.text().endsWith("c" + client + "k" + k);
                    right += expected ? 1 : 0;
                }
                return right;
            });
        }
        int right = 0;
        for (Future<Integer> result : clients.invokeAll(tasks)) {
            right += result.get();
        }
        clients.shutdown();
        assertEquals(640, right);
        int opened = gateway.peers.size() - before;
        assertTrue(opened <= 64 + 8, opened + " connections for 640 requests");
    }

    @Test
    void aBodyTheClientNeverFinishesEndsAsWithoutTheAgent() throws IOException {
        assertNull(gateway.inspectedOf("never=1").stream().findFirst().orElse(null));
        try (java.net.Socket socket = new java.net.Socket("127.0.0.1", guarded.port())) {
            socket.getOutputStream().write(RawHttp.bytes("POST /raw?never=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"));
        }
        assertEquals(200, RawHttp.get(guarded.port(), "/search").status());
    }
}
