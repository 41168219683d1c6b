package io.erne.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Reads {@code multipart/form-data} (RFC 7578) as its bytes come, in constant memory: the caller pushes bytes, the
 * {@link Handler} gets parts. Used to hash uploads, to redact bodies, and to give the application its parts.
 */
public final class MultipartReader {
    /** Bytes of one part's headers; Tomcat's bound is 512 in its newest versions and was unlimited before. */
    static final int HEADER_BYTES_MAX = 16_384;
    /** RFC 2046. */
    static final int BOUNDARY_CHARS_MAX = 70;

    /** What is told of a body. */
    public interface Handler {
        void begin(Headers headers) throws IOException;

        void data(byte[] bytes, int offset, int length) throws IOException;

        void end() throws IOException;
    }

    /** Headers of a part, in order. */
    public record Headers(List<Map.Entry<String, String>> list) {
        public String get(String name) {
            for (Map.Entry<String, String> header : list) {
                if (header.getKey().equalsIgnoreCase(name)) {
                    return header.getValue();
                }
            }
            return null;
        }

        public String name() {
            return parameter(get("content-disposition"), "name");
        }

        /** Null for a field that is no file. */
        public String fileName() {
            String disposition = get("content-disposition");
            String name = parameter(disposition, "filename*");
            return name != null ? extended(name) : parameter(disposition, "filename");
        }
    }

    private enum State { PREAMBLE, AFTER_BOUNDARY, HEADERS, DATA, DONE, BROKEN }

    private final byte[] delimiter;
    private final Handler handler;
    private State state = State.PREAMBLE;
    /** Bytes of the delimiter seen; the body's beginning counts as a line break. */
    private int matched = 2;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    public MultipartReader(String boundary, Handler handler) {
        this.delimiter = ("\r\n--" + boundary).getBytes(StandardCharsets.ISO_8859_1);
        this.handler = handler;
    }

    /** The boundary of a content type, or null. */
    public static String boundary(String contentType) {
        if (contentType == null || !contentType.regionMatches(true, 0, "multipart/", 0, 10)) {
            return null;
        }
        String boundary = parameter(contentType, "boundary");
        return boundary == null || boundary.isEmpty() || boundary.length() > BOUNDARY_CHARS_MAX * 4 ? null : boundary;
    }

    /** Whether the closing boundary came. */
    public boolean complete() {
        return state == State.DONE;
    }

    public void push(byte[] bytes, int offset, int length) throws IOException {
        int end = offset + length;
        for (int i = offset; i < end; ) {
            switch (state) {
                case PREAMBLE, DATA -> i = data(bytes, i, end);
                case AFTER_BOUNDARY -> afterBoundary(bytes[i++]);
                case HEADERS -> headers(bytes[i++]);
                default -> i = end;
            }
        }
    }

    /** The delimiter's first byte stands nowhere else in it, so that after a mismatch the search begins anew at once. */
    private int data(byte[] bytes, int from, int end) throws IOException {
        int begin = from;
        for (int i = from; i < end; i++) {
            byte b = bytes[i];
            if (b == delimiter[matched]) {
                if (matched == 0) {
                    emit(bytes, begin, i);
                }
                if (++matched == delimiter.length) {
                    if (state == State.DATA) {
                        handler.end();
                    }
                    state = State.AFTER_BOUNDARY;
                    line.reset();
                    matched = 0;
                    return i + 1;
                }
            } else if (matched > 0) {
                emit(delimiter, 0, matched);
                matched = b == delimiter[0] ? 1 : 0;
                begin = matched == 1 ? end : i;
            }
            if (matched > 0) {
                begin = end;
            }
        }
        emit(bytes, begin, end);
        return end;
    }

    private void emit(byte[] bytes, int begin, int end) throws IOException {
        if (state == State.DATA && end > begin) {
            handler.data(bytes, begin, end - begin);
        }
    }

    private void afterBoundary(byte b) {
        if (b != '\n') {
            line.write(b);
            if (line.size() == 2 && line.toByteArray()[0] == '-' && b == '-') {
                state = State.DONE;
            } else if (line.size() > HEADER_BYTES_MAX) {
                state = State.BROKEN;
            }
            return;
        }
        line.reset();
        state = State.HEADERS;
    }

    private void headers(byte b) throws IOException {
        line.write(b);
        if (line.size() > HEADER_BYTES_MAX) {
            state = State.BROKEN;
            return;
        }
        if (b != '\n') {
            return;
        }
        String text = line.toString(StandardCharsets.ISO_8859_1);
        if (text.equals("\r\n") || text.endsWith("\r\n\r\n") || text.endsWith("\n\n")) {
            line.reset();
            state = State.DATA;
            handler.begin(parse(text));
        }
    }

    private static Headers parse(String text) {
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (String row : text.replaceAll("\r?\n[ \t]+", " ").split("\r?\n")) {
            int colon = row.indexOf(':');
            if (colon > 0) {
                headers.add(Map.entry(row.substring(0, colon).strip(), Transaction.utf8(row.substring(colon + 1).strip())));
            }
        }
        return new Headers(headers);
    }

    /** A parameter of a header value such as {@code form-data; name="a"; filename="b"}; null if it is absent. */
    static String parameter(String value, String name) {
        if (value == null) {
            return null;
        }
        int i = value.indexOf(';');
        while (i >= 0 && i < value.length()) {
            int begin = ++i;
            while (i < value.length() && value.charAt(i) != '=' && value.charAt(i) != ';') {
                i++;
            }
            String key = value.substring(begin, i).strip();
            if (i >= value.length() || value.charAt(i) == ';') {
                continue;
            }
            i++;
            while (i < value.length() && value.charAt(i) == ' ') {
                i++;
            }
            StringBuilder text = new StringBuilder();
            if (i < value.length() && value.charAt(i) == '"') {
                i++;
                while (i < value.length() && value.charAt(i) != '"') {
                    // Browsers send a file's backslashes as they are; only a quote is escaped.
                    if (value.charAt(i) == '\\' && i + 1 < value.length() && (value.charAt(i + 1) == '"' || value.charAt(i + 1) == '\\')) {
                        i++;
                    }
                    text.append(value.charAt(i++));
                }
                i = value.indexOf(';', i);
            } else {
                int end = value.indexOf(';', i);
                text.append(value.substring(i, end < 0 ? value.length() : end).strip());
                i = end;
            }
            if (key.equalsIgnoreCase(name)) {
                return text.toString();
            }
        }
        return null;
    }

    /** RFC 5987: {@code UTF-8''na%C3%AFve}. */
    private static String extended(String value) {
        int first = value.indexOf('\'');
        int second = value.indexOf('\'', first + 1);
        if (first < 0 || second < 0) {
            return value;
        }
        try {
            return java.net.URLDecoder.decode(value.substring(second + 1).replace("+", "%2B"), value.substring(0, first));
        } catch (IllegalArgumentException | java.io.UnsupportedEncodingException e) {
            return value.substring(second + 1);
        }
    }
}
