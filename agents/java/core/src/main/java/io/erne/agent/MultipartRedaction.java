package io.erne.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** A multipart body with secret fields masked and files emptied: what may leave the process. */
final class MultipartRedaction implements MultipartReader.Handler {
    private final Redactor redactor;
    private final byte[] body;
    private final String boundary;
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private ByteArrayOutputStream field;
    private MultipartReader.Headers headers;

    MultipartRedaction(Redactor redactor, byte[] body, String contentType) {
        this.redactor = redactor;
        this.body = body;
        String declared = MultipartReader.boundary(contentType);
        this.boundary = declared != null ? declared : firstLine(body);
    }

    /** What servers that sniff take for the boundary; null if the body does not begin with one. */
    private static String firstLine(byte[] body) {
        int end = 0;
        while (end < body.length && end < MultipartReader.BOUNDARY_CHARS_MAX + 2 && body[end] != '\r' && body[end] != '\n') {
            end++;
        }
        return end > 2 && body[0] == '-' && body[1] == '-' ? new String(body, 2, end - 2, StandardCharsets.ISO_8859_1) : null;
    }

    /** Empty if the body cannot be read as multipart: then nobody knows where its files are. */
    byte[] redacted() {
        if (boundary == null) {
            return new byte[0];
        }
        MultipartReader reader = new MultipartReader(boundary, this);
        try {
            reader.push(body, 0, body.length);
            if (headers != null) {
                end();
            }
        } catch (IOException e) {
            throw new IllegalStateException("nothing here does I/O", e);
        }
        if (reader.complete()) {
            text("--" + boundary + "--\r\n");
        }
        return out.toByteArray();
    }

    private void text(String text) {
        out.writeBytes(text.getBytes(StandardCharsets.UTF_8));
    }

    @Override
    public void begin(MultipartReader.Headers headers) {
        this.headers = headers;
        text("--" + boundary + "\r\n");
        for (Map.Entry<String, String> header : headers.list()) {
            text(header.getKey() + ": " + header.getValue() + "\r\n");
        }
        text("\r\n");
        field = headers.fileName() != null ? null : new ByteArrayOutputStream();
    }

    @Override
    public void data(byte[] bytes, int offset, int length) {
        if (field != null) {
            field.write(bytes, offset, length);
        }
    }

    @Override
    public void end() {
        if (field != null) {
            String name = headers.name();
            if (name != null && redactor.secret(name)) {
                text(Redactor.MASK);
            } else {
                // A field may be JSON or a form itself.
                String type = headers.get("content-type");
                byte[] value = field.toByteArray();
                out.writeBytes(type != null && type.startsWith("multipart/") ? new byte[0] : redactor.body(type == null ? "text/plain" : type, value));
            }
        }
        text("\r\n");
        headers = null;
    }
}
