package io.erne.agent;

import java.io.ByteArrayOutputStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Replaces secrets by {@value #MASK} before anything leaves the process: values of headers, cookies, query and form
 * parameters, JSON members, XML elements and multipart fields whose name holds one of the profile's names, by the same
 * rule as the gateway's own redaction (crates/web/src/guard/redact.rs). Files of a multipart body are left out.
 *
 * <p>Works on bytes read one by one, so that a cut, malformed or oddly encoded body is redacted as far as it goes.
 */
public final class Redactor {
    static final String MASK = "[redacted]";
    private static final byte[] MASK_BYTES = MASK.getBytes(StandardCharsets.US_ASCII);

    /** Names known by now; senders' own names could fill it, so that it is emptied when full. */
    private static final int KNOWN_MAX = 2_048;
    /** From this length on, a name is also found within another ({@code newpassword}). */
    private static final int WITHIN_CHARS_MIN = 5;
    private static final int NAME_CHARS_MAX = 256;

    private record Name(String words, String letters) {}

    private final List<Name> names = new ArrayList<>();
    private final Map<String, Boolean> known = new ConcurrentHashMap<>();

    Redactor(List<String> names) {
        for (String text : names) {
            String words = words(text);
            String letters = words.replace(" ", "");
            if (!letters.isEmpty()) {
                this.names.add(new Name(words, letters));
            }
        }
    }

    /** {@code user_apiKey} as {@code " user api key "}: words end at signs and before capitals. */
    private static String words(String name) {
        StringBuilder out = new StringBuilder(name.length() + 8).append(' ');
        boolean small = false;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            boolean letter = Character.isLetterOrDigit(c);
            if ((!letter || small && Character.isUpperCase(c)) && out.charAt(out.length() - 1) != ' ') {
                out.append(' ');
            }
            if (letter) {
                out.append(Character.toLowerCase(c));
            }
            small = letter && !Character.isUpperCase(c);
        }
        return out.charAt(out.length() - 1) == ' ' ? out.toString() : out.append(' ').toString();
    }

    boolean secret(String name) {
        if (name.isEmpty() || names.isEmpty()) {
            return false;
        }
        if (name.length() > NAME_CHARS_MAX) {
            return true;
        }
        Boolean answer = known.get(name);
        if (answer == null) {
            answer = isSecret(name);
            if (known.size() >= KNOWN_MAX) {
                known.clear();
            }
            known.put(name, answer);
        }
        return answer;
    }

    private boolean isSecret(String name) {
        String words = words(name);
        String letters = words.replace(" ", "");
        for (Name entry : names) {
            if (words.contains(entry.words) || entry.letters.length() >= WITHIN_CHARS_MIN && letters.contains(entry.letters)) {
                return true;
            }
        }
        return false;
    }

    String header(String name, String value) {
        String lower = name.toLowerCase(Locale.ROOT);
        if (lower.equals("cookie")) {
            return cookies(value);
        }
        if (secret(name)) {
            // The scheme tells Basic from Bearer and is no secret.
            int space = value.indexOf(' ');
            return lower.endsWith("authorization") && space > 0 && space <= 20 ? value.substring(0, space + 1) + MASK : MASK;
        }
        return lower.equals("referer") || lower.equals("location") || lower.startsWith("x-original-") || lower.startsWith("x-rewrite-") ? target(value) : value;
    }

    /** Values go if the list names cookies, else those of cookies named as a secret; names stay. */
    private String cookies(String value) {
        boolean all = secret("cookie");
        StringBuilder out = new StringBuilder(value.length());
        for (String cookie : value.split(";", -1)) {
            int equals = cookie.indexOf('=');
            out.append(out.isEmpty() ? "" : ";");
            if (equals < 0) {
                out.append(all && !cookie.isBlank() ? MASK : cookie);
            } else {
                out.append(cookie, 0, equals + 1).append(all || secret(cookie.substring(0, equals)) ? MASK : cookie.substring(equals + 1));
            }
        }
        return out.toString();
    }

    /** A path with query or an absolute URL: user information and parameters. */
    String target(String target) {
        int scheme = target.indexOf("://");
        String text = target;
        if (scheme > 0 && scheme < 12) {
            int end = text.length();
            for (int i = scheme + 3; i < text.length(); i++) {
                if ("/?#".indexOf(text.charAt(i)) >= 0) {
                    end = i;
                    break;
                }
            }
            int user = text.lastIndexOf('@', end - 1);
            if (user > scheme) {
                text = text.substring(0, scheme + 3) + MASK + text.substring(user);
            }
        }
        int query = text.indexOf('?');
        return query < 0 ? text : text.substring(0, query + 1) + parameters(text.substring(query + 1));
    }

    private String parameters(String query) {
        StringBuilder out = new StringBuilder(query.length());
        int begin = 0;
        for (int i = 0; i <= query.length(); i++) {
            if (i < query.length() && query.charAt(i) != '&' && query.charAt(i) != ';') {
                continue;
            }
            String pair = query.substring(begin, i);
            int equals = pair.indexOf('=');
            if (equals > 0 && secret(decoded(pair.substring(0, equals)))) {
                pair = pair.substring(0, equals + 1) + MASK;
            }
            out.append(pair);
            if (i < query.length()) {
                out.append(query.charAt(i));
            }
            begin = i + 1;
        }
        return out.toString();
    }

    private static String decoded(String name) {
        if (name.indexOf('%') < 0) {
            return name;
        }
        try {
            return URLDecoder.decode(name, StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            return name;
        }
    }

    byte[] body(String contentType, byte[] body) {
        if (body.length == 0) {
            return body;
        }
        String type = Transaction.lower(contentType);
        if (type.startsWith("multipart/")) {
            return new MultipartRedaction(this, body, contentType).redacted();
        }
        int first = 0;
        while (first < body.length && (body[first] <= ' ' && body[first] >= 0 || (body[first] & 0xff) >= 0xef)) {
            first++;
        }
        // By its look and not by its type, as the inspector and many applications read it.
        byte c = first < body.length ? body[first] : 0;
        if (c == '{' || c == '[' || c == '"' || type.contains("json")) {
            return json(body);
        }
        if (c == '<') {
            return xml(body);
        }
        return type.isEmpty() || type.startsWith("application/x-www-form-urlencoded") || type.startsWith("text/")
            ? parameters(latin(body)).getBytes(StandardCharsets.ISO_8859_1) : body;
    }

    static String latin(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }

    private byte[] json(byte[] body) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(body.length + 16);
        int i = 0;
        while (i < body.length) {
            if (body[i] != '"') {
                out.write(body[i++]);
                continue;
            }
            int end = stringEnd(body, i);
            out.write(body, i, end - i);
            int colon = skipSpace(body, end);
            if (colon < body.length && body[colon] == ':' && secret(unescaped(body, i + 1, end - 1))) {
                int value = skipSpace(body, colon + 1);
                out.write(body, end, value - end);
                i = valueEnd(body, value);
                if (i > value) {
                    out.write('"');
                    out.write(MASK_BYTES, 0, MASK_BYTES.length);
                    out.write('"');
                }
            } else {
                i = end;
            }
        }
        return out.toByteArray();
    }

    /** After the closing quote of the string that opens at {@code i}. */
    private static int stringEnd(byte[] body, int i) {
        for (int at = i + 1; at < body.length; at++) {
            if (body[at] == '\\') {
                at++;
            } else if (body[at] == '"') {
                return at + 1;
            }
        }
        return body.length;
    }

    private static String unescaped(byte[] body, int begin, int end) {
        String name = new String(body, begin, Math.max(0, Math.min(end, body.length) - begin), StandardCharsets.UTF_8);
        if (name.indexOf('\\') < 0) {
            return name;
        }
        try {
            return String.valueOf(Json.parse('"' + name + '"'));
        } catch (Json.JsonException e) {
            return name;
        }
    }

    private static int skipSpace(byte[] body, int from) {
        int at = from;
        while (at < body.length && (body[at] == ' ' || body[at] == '\t' || body[at] == '\r' || body[at] == '\n')) {
            at++;
        }
        return at;
    }

    /** After the value at {@code i}: a string, a balanced object or array, or a word. */
    private static int valueEnd(byte[] body, int i) {
        int depth = 0;
        for (int at = i; at < body.length; ) {
            byte c = body[at];
            if (c == '"') {
                at = stringEnd(body, at);
                if (depth == 0) {
                    return at;
                }
                continue;
            }
            if (c == '{' || c == '[') {
                depth++;
            } else if (c == '}' || c == ']') {
                if (depth-- <= 1) {
                    return depth < 0 ? at : at + 1;
                }
            } else if (depth == 0 && (c == ',' || c == '\n' || c == '\r')) {
                return at;
            }
            at++;
        }
        return body.length;
    }

    /** Texts and attributes of elements named as a secret. */
    private byte[] xml(byte[] body) {
        String text = latin(body);
        StringBuilder out = new StringBuilder(text.length());
        int i = 0;
        while (i < text.length()) {
            int tag = text.indexOf('<', i);
            if (tag < 0) {
                break;
            }
            int end = text.indexOf('>', tag);
            if (end < 0) {
                // A tag that was cut off could hold anything.
                return out.append(text, i, tag).toString().getBytes(StandardCharsets.ISO_8859_1);
            }
            out.append(text, i, tag).append(attributes(text.substring(tag, end + 1)));
            i = end + 1;
            if (text.charAt(end - 1) != '/' && secret(elementName(text, tag + 1))) {
                int next = text.startsWith("<![CDATA[", i) ? text.indexOf("]]>", i) : text.indexOf('<', i);
                next = next < 0 ? text.length() : next;
                if (next > i) {
                    out.append(MASK);
                }
                i = text.startsWith("]]>", next) ? next + 3 : next;
            }
        }
        return out.append(text, i, text.length()).toString().getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String elementName(String text, int from) {
        int end = from;
        while (end < text.length() && " \t\r\n/>".indexOf(text.charAt(end)) < 0) {
            end++;
        }
        int begin = text.lastIndexOf(':', end);
        return text.substring(begin >= from ? begin + 1 : from, end);
    }

    private String attributes(String tag) {
        StringBuilder out = new StringBuilder(tag.length());
        int i = 0;
        for (int equals; (equals = tag.indexOf('=', i)) > 0; ) {
            int value = equals + 1;
            while (value < tag.length() && Character.isWhitespace(tag.charAt(value))) {
                value++;
            }
            if (value >= tag.length() || tag.charAt(value) != '"' && tag.charAt(value) != '\'') {
                out.append(tag, i, equals + 1);
                i = equals + 1;
                continue;
            }
            int end = tag.indexOf(tag.charAt(value), value + 1);
            end = end < 0 ? tag.length() : end;
            int name = equals;
            while (name > 0 && Character.isWhitespace(tag.charAt(name - 1))) {
                name--;
            }
            int begin = name;
            while (begin > 0 && !Character.isWhitespace(tag.charAt(begin - 1)) && tag.charAt(begin - 1) != ':') {
                begin--;
            }
            out.append(tag, i, value + 1).append(secret(tag.substring(begin, name)) ? MASK : tag.substring(value + 1, end));
            i = end;
        }
        return out.append(tag, i, tag.length()).toString();
    }
}
