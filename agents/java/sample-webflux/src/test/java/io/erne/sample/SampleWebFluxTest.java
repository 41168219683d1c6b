package io.erne.sample;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.erne.agent.AppProcess;
import io.erne.agent.RawHttp;
import io.erne.agent.RawHttp.Answer;
import io.erne.agent.StandInGateway;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The WebFlux sample on Netty, once without and once with the agent, under real HTTP. Netty watches for lost buffers. */
class SampleWebFluxTest {
    private static final String MAIN = "io.erne.sample.SampleWebFluxApplication";
    private static final String PROTECTION = "\"mode\":\"protection\",\"timeout_ms\":5000,\"body_max\":16384";
    private static final String FORM = "application/x-www-form-urlencoded";

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
        boolean stopped = guarded.stop();
        plain.close();
        gateway.close();
        assertTrue(stopped, "the application with the agent ends when told to");
        assertTrue(guarded.output.stream().noneMatch(line -> line.contains("LEAK")), "no buffer is lost:\n" + String.join("\n", guarded.output));
    }

    private static void profile(String members) {
        gateway.setProfile(members);
        StandInGateway.await("the agent has the profile", gateway::delivered);
    }

    private interface Request {
        Answer send(int port) throws IOException;
    }

    private static byte[] random(int size) {
        byte[] bytes = new byte[size];
        new Random(size).nextBytes(bytes);
        return bytes;
    }

    private static byte[] multipart(Object... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int i = 0; i < parts.length; i += 2) {
            out.writeBytes(RawHttp.bytes("--b\r\nContent-Disposition: form-data; " + parts[i] + "\r\n\r\n"));
            out.writeBytes((byte[]) parts[i + 1]);
            out.writeBytes(RawHttp.bytes("\r\n"));
        }
        out.writeBytes(RawHttp.bytes("--b--\r\n"));
        return out.toByteArray();
    }

    private static Map<String, Request> benign() {
        Map<String, Request> all = new LinkedHashMap<>();
        all.put("query", port -> RawHttp.get(port, "/search?q=caf%C3%A9+au+lait"));
        all.put("form", port -> RawHttp.post(port, "/form?a=0", FORM, RawHttp.bytes("a=1&a=2&b=%C3%A4+%26&empty=")));
        all.put("form, large", port -> RawHttp.post(port, "/form", FORM, RawHttp.bytes("a=" + "x".repeat(100_000) + "&b=end")));
        all.put("form, chunked", port -> RawHttp.send(port, "POST /form HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: " + FORM,
            RawHttp.chunk(RawHttp.bytes("a=1&")), RawHttp.chunk(RawHttp.bytes("b=2")), RawHttp.chunk(new byte[0])));
        all.put("json", port -> RawHttp.post(port, "/json", "application/json", "{\"n\":1,\"text\":\"\u00fc\"}".getBytes(StandardCharsets.UTF_8)));
        all.put("raw, empty", port -> RawHttp.post(port, "/raw", "application/octet-stream", new byte[0]));
        all.put("raw, not UTF-8", port -> RawHttp.post(port, "/raw", "text/plain", random(5_000)));
        all.put("raw, 3 MB", port -> RawHttp.post(port, "/raw", "application/octet-stream", random(3_000_000)));
        all.put("raw, exactly what is looked at", port -> RawHttp.post(port, "/raw", "application/octet-stream", random(16_384)));
        all.put("echo, 1 MB chunked", port -> RawHttp.send(port, "POST /echo HTTP/1.1\nTransfer-Encoding: chunked\nContent-Type: application/octet-stream",
            RawHttp.chunk(random(500_000)), RawHttp.chunk(random(1)), RawHttp.chunk(random(500_001)), RawHttp.chunk(new byte[0])));
        all.put("ignored small body", port -> RawHttp.unreset(() -> RawHttp.post(port, "/ignore", "text/plain", random(100))));
        all.put("first byte of a small body", port -> RawHttp.unreset(() -> RawHttp.post(port, "/first", "text/plain", RawHttp.bytes("abc"))));
        all.put("upload", port -> RawHttp.post(port, "/upload", "multipart/form-data; boundary=b", multipart("name=\"note\"", RawHttp.bytes("hi"), "name=\"file\"; filename=\"a.bin\"", random(900))));
        all.put("upload, 900 kB", port -> RawHttp.post(port, "/parts", "multipart/form-data; boundary=b", multipart("name=\"file\"; filename=\"a.bin\"", random(900_000), "name=\"note\"", RawHttp.bytes("after"))));
        all.put("server-sent events", port -> RawHttp.get(port, "/events"));
        all.put("204", port -> RawHttp.send(port, "DELETE /items/3 HTTP/1.1"));
        all.put("HEAD", port -> RawHttp.send(port, "HEAD /search?q=x HTTP/1.1"));
        all.put("OPTIONS", port -> RawHttp.send(port, "OPTIONS /search HTTP/1.1"));
        all.put("cookies", port -> RawHttp.get(port, "/cookies", "Cookie: a=1; b=2"));
        all.put("not a blocking thread", port -> RawHttp.get(port, "/thread"));
        return all;
    }

    /** Chunks of an answer depend on how bytes happened to arrive; their contents do not. */
    private static String plainBody(Answer answer) {
        if (!"chunked".equals(answer.header("transfer-encoding"))) {
            return new String(answer.body(), StandardCharsets.ISO_8859_1);
        }
        StringBuilder out = new StringBuilder();
        String text = new String(answer.body(), StandardCharsets.ISO_8859_1);
        for (int at = 0; ; ) {
            int end = text.indexOf("\r\n", at);
            int size = Integer.parseInt(text.substring(at, end), 16);
            if (size == 0) {
                return out.toString();
            }
            out.append(text, end + 2, end + 2 + size);
            at = end + 4 + size;
        }
    }

    @Test
    void benignRequestsAreAnsweredAsWithoutTheAgent() throws IOException {
        for (String mode : new String[] {"protection", "monitor", "lite"}) {
            profile("\"mode\":\"" + mode + "\",\"timeout_ms\":5000,\"body_max\":16384");
            for (Map.Entry<String, Request> each : benign().entrySet()) {
                String what = mode + ": " + each.getKey();
                Answer without = each.getValue().send(plain.port());
                Answer with = each.getValue().send(guarded.port());
                assertEquals(without.head(), with.head(), what);
                assertArrayEquals(RawHttp.bytes(plainBody(without)), RawHttp.bytes(plainBody(with)), what);
            }
            assertEquals(RawHttp.get(plain.port(), "/fails").status(), RawHttp.get(guarded.port(), "/fails").status());
        }
        profile(PROTECTION);
    }

    @Test
    void attacksAreBlockedBeforeTheHandlerRuns() throws IOException {
        profile(PROTECTION);
        String handled = RawHttp.get(guarded.port(), "/handled").text();
        String encoded = "%27%20OR%20%271%27=%271";
        List<Answer> answers = new ArrayList<>();
        answers.add(RawHttp.get(guarded.port(), "/search?q=" + encoded));
        answers.add(RawHttp.post(guarded.port(), "/form", FORM, RawHttp.bytes("a=" + encoded)));
        answers.add(RawHttp.post(guarded.port(), "/json", "application/json", RawHttp.bytes("{\"a\":\"' OR '1'='1\"}")));
        answers.add(RawHttp.post(guarded.port(), "/upload", "multipart/form-data; boundary=b", multipart("name=\"note\"", RawHttp.bytes("<script>"))));
        answers.add(RawHttp.send(guarded.port(), "POST /raw HTTP/1.1\nTransfer-Encoding: chunked", RawHttp.chunk(RawHttp.bytes("' OR ")), RawHttp.chunk(RawHttp.bytes("'1'='1")), RawHttp.chunk(new byte[0])));
        for (Answer answer : answers) {
            assertEquals(403, answer.status(), answer.toString());
            assertTrue(answer.text().contains("Request blocked"), answer.toString());
        }
        assertEquals(403, RawHttp.send(guarded.port(), "HEAD /search?q=" + encoded + " HTTP/1.1").status());
        assertEquals(handled, RawHttp.get(guarded.port(), "/handled").text(), "no handler ran");
        assertEquals(0, gateway.refused.get(), "every signature was right");
    }

    @Test
    void secureHeadersAreAddedAndNeverReplaced() throws IOException {
        profile(PROTECTION + ",\"secure_headers\":{\"X-Frame-Options\":\"SAMEORIGIN\",\"X-Content-Type-Options\":\"nosniff\"}");
        for (String path : new String[] {"/search", "/events", "/large", "/nowhere"}) {
            Answer answer = RawHttp.get(guarded.port(), path);
            assertEquals("nosniff", answer.header("X-Content-Type-Options"), path);
            assertEquals("SAMEORIGIN", answer.header("X-Frame-Options"), path);
        }
        assertEquals("DENY", RawHttp.get(guarded.port(), "/framed").header("X-Frame-Options"));
        profile(PROTECTION);
    }

    @Test
    void aGatewayThatIsSlowOrAwayStopsNobody() throws IOException {
        profile("\"mode\":\"protection\",\"timeout_ms\":150");
        gateway.delayMs = 2_000;
        assertEquals(200, RawHttp.get(guarded.port(), "/search").status());
        gateway.delayMs = 0;
        profile("\"mode\":\"protection\",\"timeout_ms\":150,\"fail\":\"closed\"");
        gateway.down();
        assertEquals(503, RawHttp.get(guarded.port(), "/search").status());
        gateway.up();
        StandInGateway.await("after the restart", () -> {
            try {
                return RawHttp.get(guarded.port(), "/search").status() == 200;
            } catch (IOException e) {
                throw new AssertionError(e);
            }
        });
        profile(PROTECTION);
    }

    @Test
    void bodiesThatNobodyTakesOrThatNeverEndAreReleased() throws Exception {
        profile(PROTECTION);
        int[] resets = new int[2];
        for (int i = 0; i < 20; i++) {
            for (int which = 0; which < 2; which++) {
                int port = which == 0 ? plain.port() : guarded.port();
                try {
                    assertEquals(200, RawHttp.post(port, "/ignore", "text/plain", random(600_000)).status());
                } catch (SocketException e) {
                    resets[which]++;
                }
                try {
                    assertEquals(200, RawHttp.post(port, "/first", "text/plain", random(600_000)).status());
                } catch (SocketException e) {
                    resets[which]++;
                }
            }
            try (Socket socket = new Socket("127.0.0.1", guarded.port())) {
                socket.getOutputStream().write(RawHttp.bytes("POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nhalf"));
            }
        }
        System.out.println("connections reset while the client still sent: " + resets[0] + " without, " + resets[1] + " with the agent");
        assertEquals(200, RawHttp.get(guarded.port(), "/search").status());
    }

    @Test
    void sixtyFourClientsAtOnce() throws Exception {
        profile(PROTECTION);
        ExecutorService clients = Executors.newFixedThreadPool(64);
        List<Callable<Integer>> tasks = new ArrayList<>();
        for (int i = 0; i < 64; i++) {
            int client = i;
            tasks.add(() -> {
                int right = 0;
                for (int k = 0; k < 10; k++) {
                    boolean attack = (client + k) % 5 == 0;
                    Answer answer = RawHttp.post(guarded.port(), "/form", FORM, RawHttp.bytes(attack ? "q=%3Cscript" : "q=c" + client + "k" + k));
                    right += attack ? answer.status() == 403 ? 1 : 0 : answer.status() == 200 && answer.text().contains("[c" + client + "k" + k + "]") ? 1 : 0;
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
    }
}
