package io.erne.agent;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class CoreTest {
    private static final Redactor REDACTOR = new Redactor(Profile.REDACT);

    private static byte[] latin(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** Computed by Python's hmac and hashlib over the bytes that the agents' surface names. */
    @Test
    void signaturesAreThoseOfPython() {
        Signer signer = new Signer("agt_1", "c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtMDEyMzQ");
        assertEquals("ERNE-HMAC-SHA256 id=agt_1,ts=1767225600,nonce=AAAAAAAAAAAAAAAAAAAA1,sig=2be852449008fe0ca2b5c4f87ccbd322fccaa5735aba4f889a6ca0e389eaa5cc",
            signer.authorization("POST", "/api/v1/inspect", "{\"method\":\"GET\",\"uri\":\"/\u00e9\"}".getBytes(StandardCharsets.UTF_8), 1767225600, "AAAAAAAAAAAAAAAAAAAA1"));
        assertEquals("ERNE-HMAC-SHA256 id=agt_1,ts=1767225601,nonce=nonce_with-16-ch,sig=110d443976290c68248d9776ec5a2168781094fe910b16b69c12ca408ff05cb7",
            signer.authorization("GET", "/api/v1/agent/profile?version=3&wait=50", new byte[0], 1767225601, "nonce_with-16-ch"));
        String first = signer.authorization("GET", "/", new byte[0], 1);
        assertNotEquals(first, signer.authorization("GET", "/", new byte[0], 1), "nonces differ");
        assertTrue(first.matches(".*nonce=[A-Za-z0-9_-]{16,64},.*"));
    }

    @Test
    void jsonIsReadAndWritten() throws Json.JsonException {
        String text = "{\"a\":[1,-2.5,true,false,null],\"b\":\"\\\"\\\\\\n\\u001f\u00e9\ud83d\ude00\",\"c\":{}}";
        assertEquals(text.replace("\\n", "\\u000a"), Json.write(Json.parse(text)));
        assertEquals("\"\\ud800x\"", Json.write("\ud800x"), "half a pair is escaped, not lost");
        for (String broken : new String[] {"", "{", "[1,]", "{\"a\" 1}", "\"x", "tru", "1 2", "\"\\x\"", "\"\\u12g4\"", "[".repeat(65), "-", "{1:2}"}) {
            assertThrows(Json.JsonException.class, () -> Json.parse(broken), broken);
        }
    }

    @Test
    void addressesAreReadWithoutAResolver() {
        for (String text : new String[] {"192.0.2.1", "192.0.2.1:8080", "::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80", " 192.0.2.1 "}) {
            assertEquals("192.0.2.1", String.valueOf(Address.parse(text)), text);
        }
        assertEquals("2001:db8:0:0:0:0:0:1", String.valueOf(Address.parse("2001:DB8::1%eth0")));
        assertEquals("0:0:0:0:0:0:0:0", String.valueOf(Address.parse("::")));
        for (String text : new String[] {"", "localhost", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "::1.2.3", "[::1", "\u0661.2.3.4", "unknown", "_x"}) {
            assertNull(Address.parse(text), text);
        }
        CidrMap<String> map = new CidrMap<>();
        map.put("10.0.0.0/8", "wide");
        map.put("10.1.0.0/16", "narrow");
        map.put("2001:db8::/32", "six");
        map.put("192.0.2.1", "one");
        assertEquals("wide", map.get(Address.parse("10.2.3.4")));
        assertEquals("narrow", map.get(Address.parse("::ffff:10.1.3.4")));
        assertEquals("six", map.get(Address.parse("2001:db8:1::")));
        assertEquals("one", map.get(Address.parse("192.0.2.1")));
        assertNull(map.get(Address.parse("192.0.2.2")));
        for (String text : new String[] {"10.0.0.0/33", "10.0.0.0/-1", "x/8", "10.0.0.0/", "::/129"}) {
            assertThrows(IllegalArgumentException.class, () -> map.put(text, ""), text);
        }
    }

    @Test
    void forwardedForIsReadFromTheRight() {
        CidrMap<Boolean> trusted = new CidrMap<>();
        trusted.put("10.0.0.0/8", true);
        assertEquals("203.0.113.1", ClientAddress.of("203.0.113.1", List.of("1.1.1.1"), trusted), "an untrusted peer speaks for itself");
        assertEquals("1.1.1.1", ClientAddress.of("10.0.0.1", List.of("1.1.1.1"), trusted));
        assertEquals("2.2.2.2", ClientAddress.of("10.0.0.1", List.of("1.1.1.1, 2.2.2.2,10.0.0.9"), trusted));
        assertEquals("2.2.2.2", ClientAddress.of("10.0.0.1", List.of("1.1.1.1", "2.2.2.2"), trusted), "several headers are one list");
        assertEquals("10.0.0.9", ClientAddress.of("10.0.0.1", List.of("1.1.1.1, nonsense, 10.0.0.9"), trusted), "nobody knows what stands left of nonsense");
        assertEquals("10.0.0.2", ClientAddress.of("10.0.0.1", List.of("10.0.0.2"), trusted));
        assertEquals("10.0.0.1", ClientAddress.of("10.0.0.1", List.of(""), trusted));
        assertEquals("unix", ClientAddress.of("unix", List.of("1.1.1.1"), trusted));
        ClientAddress.of("10.0.0.1", List.of("10.0.0.1,".repeat(100_000)), trusted);
    }

    @Test
    void globsMatchWithinAndAcrossSegments() {
        assertTrue(new PathGlob("/admin/**").matches("/admin/a/b") && new PathGlob("/admin/**").matches("/admin") && new PathGlob("/a/*/c").matches("/a/b/c"));
        assertTrue(new PathGlob("/**").matches("/") && new PathGlob("/**/x").matches("/a/b/x") && new PathGlob("*").matches("a") && new PathGlob("/a*").matches("/abc"));
        assertFalse(new PathGlob("/admin/**").matches("/administrator") || new PathGlob("/a/*").matches("/a/b/c") || new PathGlob("/a").matches("/a/") || new PathGlob("/A").matches("/a"));
        assertFalse(new PathGlob("/" + "**a".repeat(50)).matches("/" + "a".repeat(5_000) + "b"), "and end in good time");
    }

    @Test
    void profilesHaveDefaultsAndRefuseWhatTheyCannotMean() {
        Profile profile = Profile.parse("{\"version\":7,\"unknown\":{\"x\":1}}", Mode.MONITOR);
        assertEquals(7, profile.version);
        assertTrue(profile.failOpen && profile.mode == Mode.MONITOR && profile.timeoutMs == 250 && profile.bodyMax == 131_072 && profile.blockStatus == 403);
        for (String bad : new String[] {"[]", "{\"mode\":\"protect\"}", "{\"fail\":\"shut\"}", "{\"mode\":1}", "{\"timeout_ms\":0}", "{\"trusted_proxies\":[\"x\"]}", "{\"bans\":[{\"cidr\":\"\"}]}",
            "{\"bans\":[{\"cidr\":\"1.1.1.1\",\"until\":\"tomorrow\"}]}", "{\"secure_headers\":{\"a b\":\"c\"}}", "{\"secure_headers\":{\"a\":\"c\\r\\nd\"}}", "{\"routes\":[{\"path\":\"/\",\"mode\":\"x\"}]}", "{\"routes\":{}}"}) {
            assertThrows(IllegalArgumentException.class, () -> Profile.parse(bad, Mode.MONITOR), bad);
        }
        Profile banned = Profile.parse("{\"bans\":[{\"cidr\":\"10.0.0.0/8\",\"until\":\"2026-01-01T00:00:00Z\"},{\"cidr\":\"::1\",\"until\":null}]}", Mode.OFF);
        assertNull(banned.ban(Address.parse("10.0.0.1"), Instant.parse("2026-01-01T00:00:01Z")));
        assertEquals("10.0.0.0/8", banned.ban(Address.parse("10.0.0.1"), Instant.parse("2025-01-01T00:00:01Z")).cidr());
        assertEquals("::1", banned.ban(Address.parse("::1"), Instant.now()).cidr());
    }

    private static void redacts(String type, String body, String expected) {
        assertEquals(expected, new String(REDACTOR.body(type, latin(body)), StandardCharsets.ISO_8859_1));
        for (int cut = 0; cut < body.length(); cut++) {
            String part = new String(REDACTOR.body(type, latin(body.substring(0, cut))), StandardCharsets.ISO_8859_1);
            assertFalse(part.contains("hush"), part);
        }
    }

    @Test
    void secretsAreTakenOut() {
        String form = "application/x-www-form-urlencoded";
        redacts(form, "user=kim&password=hush&new%50assword=hush&x=1", "user=kim&password=[redacted]&new%50assword=[redacted]&x=1");
        redacts("application/json", "{\"a\":1,\"apiKey\":\"hush\",\"b\":{\"token\" : [\"hush\",{\"c\":\"hush\"}],\"pin\":4711},\"d\":\"e\"}",
            "{\"a\":1,\"apiKey\":\"[redacted]\",\"b\":{\"token\" : \"[redacted]\",\"pin\":\"[redacted]\"},\"d\":\"e\"}");
        redacts("text/plain", "{\"pass\\u0077ord\":\"hu\\\"sh hush\"}", "{\"pass\\u0077ord\":\"[redacted]\"}");
        redacts("text/xml", "<a><n:password>hush</n:password><b secret='hush' c=\"d\">e</b><token><![CDATA[hush]]></token></a>",
            "<a><n:password>[redacted]</n:password><b secret='[redacted]' c=\"d\">e</b><token>[redacted]</token></a>");
        redacts("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhush\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nhush\r\n--b\r\n"
            + "Content-Disposition: form-data; name=\"q\"\r\n\r\nshown\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted]\r\n--b\r\n"
            + "Content-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n\r\n--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nshown\r\n--b--\r\n");
        assertEquals("", new String(REDACTOR.body("multipart/form-data", latin("no boundary, hush"))));
        assertEquals("/a?token=[redacted]&b=c;sid=[redacted]", REDACTOR.target("/a?token=hush&b=c;sid=hush"));
        assertEquals("https://[redacted]@h/?a=b", REDACTOR.target("https://u:hush@h/?a=b"));
        assertEquals("Basic [redacted]", REDACTOR.header("Authorization", "Basic hush"));
        assertEquals("[redacted]", REDACTOR.header("X-Api-Key", "hush"));
        assertEquals("a=[redacted]; b=[redacted]", REDACTOR.header("cookie", "a=hush; b=hush"));
        assertEquals("/x?password=[redacted]", REDACTOR.header("Referer", "/x?password=hush"));
        assertEquals("b", REDACTOR.header("X-Shipping", "b"), "pin within another word is no pin");
        assertEquals("a=1; sid=[redacted]", new Redactor(List.of("sid")).header("Cookie", "a=1; sid=hush"));
    }

    @Test
    void multipartIsReadAlikeHoweverItIsCut() throws Exception {
        byte[] file = new byte[3_000];
        new Random(1).nextBytes(file);
        System.arraycopy(latin("\r\n--bound\r\r\n--boun\r\n-"), 0, file, 500, 21);
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(latin("preamble\r\n--boundary\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--boundary  \r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\\\"y.png\"\r\nContent-Type: image/png\r\n\r\n"));
        body.writeBytes(file);
        body.writeBytes(latin("\r\n--boundary\r\nContent-Disposition: form-data; name=\"e\"; filename*=UTF-8''na%C3%AFve+1\r\n\r\n\r\n--boundary--\r\nepilogue"));
        byte[] bytes = body.toByteArray();
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(file));
        for (int step : new int[] {1, 2, 3, 7, 64, 1_000, bytes.length}) {
            List<String> seen = new ArrayList<>();
            MultipartReader reader = new MultipartReader("boundary", new MultipartReader.Handler() {
                private final ByteArrayOutputStream data = new ByteArrayOutputStream();

                @Override
                public void begin(MultipartReader.Headers headers) {
                    seen.add(headers.name() + "/" + headers.fileName());
                    data.reset();
                }

                @Override
                public void data(byte[] part, int offset, int length) {
                    data.write(part, offset, length);
                }

                @Override
                public void end() {
                    seen.add(data.size() < 10 ? data.toString() : HexFormat.of().formatHex(Signer.sha256().digest(data.toByteArray())));
                }
            });
            UploadHasher hasher = UploadHasher.of("multipart/form-data; boundary=\"boundary\"");
            for (int at = 0; at < bytes.length; at += step) {
                reader.push(bytes, at, Math.min(step, bytes.length - at));
                hasher.push(bytes, at, Math.min(step, bytes.length - at));
            }
            assertEquals(List.of("a/null", "one", "f/x\"y.png", hash, "e/na\u00efve+1", ""), seen, "step " + step);
            assertTrue(reader.complete() && hasher.complete());
            assertEquals(hash, hasher.files().get(0).sha256());
            assertEquals(HexFormat.of().formatHex(file, 0, 64), hasher.files().get(0).magic());
            assertEquals(2, hasher.files().size());
        }
    }

    @Test
    void compressedBodiesAreSentPlain() throws IOException {
        ByteArrayOutputStream zipped = new ByteArrayOutputStream();
        try (java.util.zip.GZIPOutputStream out = new java.util.zip.GZIPOutputStream(zipped)) {
            out.write(latin("q=1&password=hush"));
        }
        Transaction transaction = new Transaction("i", TraceContext.of(null), "POST", "/", "1.1", List.of(Map.entry("Content-Encoding", "GZIP"), Map.entry("Content-Type", "application/x-www-form-urlencoded")), "", "http");
        transaction.body(zipped.toByteArray(), false, List.of());
        assertEquals("q=1&password=[redacted]", new String(BodyView.of(transaction, REDACTOR).bytes(), StandardCharsets.ISO_8859_1));
        assertFalse(Json.write(transaction.redacted(REDACTOR, true)).contains("Encoding"));
        Transaction brotli = new Transaction("i", TraceContext.of(null), "POST", "/", "1.1", List.of(Map.entry("Content-Encoding", "br")), "", "http");
        brotli.body(latin("hush"), false, List.of());
        Map<String, Object> sent = brotli.redacted(REDACTOR, true);
        assertTrue(!sent.containsKey("body_b64") && Boolean.TRUE.equals(sent.get("body_truncated")));
        // A small body that inflates to a gigabyte costs no more than the bound.
        ByteArrayOutputStream bomb = new ByteArrayOutputStream();
        try (java.util.zip.GZIPOutputStream out = new java.util.zip.GZIPOutputStream(bomb)) {
            for (int i = 0; i < 1_000; i++) {
                out.write(new byte[100_000]);
            }
        }
        transaction.body(bomb.toByteArray(), false, List.of());
        BodyView view = BodyView.of(transaction, REDACTOR);
        assertTrue(view.cut() && view.bytes().length <= bomb.size() * BodyView.GROWTH_MAX);
    }

    @Test
    void rateLimitsRefillAndForget() {
        RateLimiter limiter = new RateLimiter();
        Address client = Address.parse("2001:db8::1");
        for (int i = 0; i < 10; i++) {
            assertEquals(i < 5, limiter.allows(Address.parse("2001:db8::" + (i + 1)), 5, 10, 0), "one /64 is one client");
        }
        assertTrue(limiter.allows(client, 5, 10, 2_000_000_000L));
        assertFalse(limiter.allows(client, 5, 10, 2_000_000_001L));
        assertTrue(limiter.allows(client, 0, 10, 0) && limiter.allows(null, 1, 1, 0));
        for (int i = 0; i < RateLimiter.CLIENTS_MAX + 10; i++) {
            limiter.allows(new Address(0, 0xffff_0000_0000L | i), 5, 10, 3_000_000_000L);
        }
        assertTrue(limiter.allows(client, 5, 10, 3_000_000_000L), "forgotten, since memory is bounded");
    }

    @Test
    void theCircuitOpensTriesOnceAndCloses() {
        CircuitBreaker breaker = new CircuitBreaker();
        for (int i = 0; i < CircuitBreaker.FAILURES_MAX; i++) {
            assertTrue(breaker.allows(0));
            breaker.failure(0);
        }
        assertFalse(breaker.allows(999_000_000));
        assertTrue(breaker.allows(1_000_000_000));
        assertFalse(breaker.allows(1_000_000_000), "one at a time");
        breaker.failure(1_000_000_000);
        assertFalse(breaker.allows(2_999_000_000L), "the pause doubles");
        assertTrue(breaker.allows(3_000_000_000L));
        breaker.success();
        assertTrue(breaker.allows(3_000_000_000L) && !breaker.isOpen());
    }

    @Test
    void tracesAreContinuedOrBegun() {
        assertEquals("4bf92f3577b34da6a3ce929d0e0e4736", TraceContext.of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").traceId());
        assertEquals("4bf92f3577b34da6a3ce929d0e0e4736", TraceContext.of("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").traceId());
        for (String bad : new String[] {null, "", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"}) {
            assertNotEquals("4bf92f3577b34da6a3ce929d0e0e4736", TraceContext.of(bad).traceId(), bad);
        }
        assertTrue(TraceContext.of("x").child().matches("00-[0-9a-f]{32}-[0-9a-f]{16}-00"));
    }

    @Test
    void headersAreUtf8IfTheyCanBe() {
        assertEquals("\u00e9", Transaction.utf8("\u00c3\u00a9"));
        assertEquals("\u00e9x", Transaction.utf8("\u00e9x"));
        assertArrayEquals(latin("a"), latin(Transaction.utf8("a")));
    }
}
