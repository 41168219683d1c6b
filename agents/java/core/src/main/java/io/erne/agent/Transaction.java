package io.erne.agent;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** One request as the application got it. It holds secrets: only {@link #redacted} may leave the process. */
public final class Transaction {
    /** Headers sent, and bytes of one of them; an application server's own bounds are lower. */
    static final int HEADERS_MAX = 200;
    static final int HEADER_CHARS_MAX = 16_384;
    static final int TARGET_CHARS_MAX = 65_536;

    public final String id;
    public final TraceContext trace;
    public final String method;
    /** Path with query, not decoded. */
    public final String target;
    public final String httpVersion;
    public final List<Map.Entry<String, String>> headers;
    public final String clientIp;
    public final String scheme;
    public final long timeMs = System.currentTimeMillis();
    /** The route's template, once the handler is known. */
    public volatile String route;
    private byte[] body = new byte[0];
    private boolean truncated;
    private List<UploadHasher.Upload> files = List.of();

    public Transaction(String id, TraceContext trace, String method, String target, String httpVersion, List<Map.Entry<String, String>> headers,
                       String clientIp, String scheme) {
        this.id = id;
        this.trace = trace;
        this.method = method;
        this.target = target;
        this.httpVersion = httpVersion;
        this.headers = headers;
        this.clientIp = clientIp;
        this.scheme = scheme;
    }

    /** Sets what was seen of the body; {@code truncated} says that there is more. */
    public void body(byte[] seen, boolean truncated, List<UploadHasher.Upload> files) {
        this.body = seen;
        this.truncated = truncated;
        this.files = files;
    }

    public byte[] body() {
        return body;
    }

    public boolean truncated() {
        return truncated;
    }

    public List<UploadHasher.Upload> files() {
        return files;
    }

    public String header(String name) {
        for (Map.Entry<String, String> header : headers) {
            if (header.getKey().equalsIgnoreCase(name)) {
                return header.getValue();
            }
        }
        return null;
    }

    public String path() {
        return path(target);
    }

    public static String path(String target) {
        int end = target.indexOf('?');
        return end < 0 ? target : target.substring(0, end);
    }

    /** Memory this takes in a queue, roughly. */
    int weight() {
        int weight = 1024 + body.length + 2 * target.length();
        for (Map.Entry<String, String> header : headers) {
            weight += 2 * (header.getKey().length() + header.getValue().length());
        }
        return weight;
    }

    /** The members of the gateway's transaction, secrets replaced, uploaded files as hashes. */
    Map<String, Object> redacted(Redactor redactor, boolean withBody) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("id", id);
        map.put("trace_id", trace.traceId());
        map.put("method", method);
        map.put("uri", redactor.target(target.length() > TARGET_CHARS_MAX ? target.substring(0, TARGET_CHARS_MAX) : target));
        map.put("http_version", httpVersion);
        boolean cut = truncated || target.length() > TARGET_CHARS_MAX;
        BodyView view = BodyView.of(this, redactor);
        List<Object> sent = new ArrayList<>();
        for (Map.Entry<String, String> header : headers) {
            // A body that was decompressed to be redacted is sent plain.
            if (view.plain() && header.getKey().equalsIgnoreCase("content-encoding")) {
                continue;
            }
            if (sent.size() >= HEADERS_MAX) {
                cut = true;
                break;
            }
            String value = utf8(header.getValue());
            sent.add(List.of(header.getKey(), redactor.header(header.getKey(), value.length() > HEADER_CHARS_MAX ? value.substring(0, HEADER_CHARS_MAX) : value)));
        }
        map.put("headers", sent);
        if (withBody && view.bytes().length > 0) {
            map.put("body_b64", Base64.getEncoder().encodeToString(view.bytes()));
        }
        if (cut || view.cut() || !withBody && body.length > 0) {
            map.put("body_truncated", true);
        }
        putAddress(map);
        map.put("scheme", scheme);
        if (route != null) {
            map.put("route", route);
        }
        if (!files.isEmpty()) {
            map.put("files", files.stream().map(UploadHasher.Upload::json).toList());
        }
        return map;
    }

    /** The gateway takes an address or nothing. */
    private void putAddress(Map<String, Object> map) {
        if (Address.parse(clientIp) != null) {
            map.put("client_ip", clientIp);
        }
    }

    /** Containers read headers as ISO-8859-1; what the sender meant was UTF-8 if it is valid as such. */
    static String utf8(String value) {
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c > 0xff) {
                return value;
            }
            if (c > 0x7f) {
                try {
                    return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value.getBytes(StandardCharsets.ISO_8859_1))).toString();
                } catch (CharacterCodingException e) {
                    return value;
                }
            }
        }
        return value;
    }

    static String lower(String text) {
        return text == null ? "" : text.toLowerCase(Locale.ROOT);
    }
}
