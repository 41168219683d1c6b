package io.erne.agent.servlet;

import java.io.ByteArrayOutputStream;
import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Parameters of a form's body, as Tomcat reads them: a pair that cannot be decoded is left out, the rest stays. */
final class FormParameters {
    /** Tomcat's default. */
    static final int COUNT_MAX = 10_000;

    private final Map<String, List<String>> values = new LinkedHashMap<>();
    private int count;

    void add(String name, String value) {
        if (count++ < COUNT_MAX) {
            values.computeIfAbsent(name, unused -> new ArrayList<>(1)).add(value);
        }
    }

    void addAll(Map<String, String[]> more) {
        more.forEach((name, list) -> {
            for (String value : list) {
                add(name, value);
            }
        });
    }

    void addForm(byte[] body, Charset charset) {
        int begin = 0;
        for (int i = 0; i <= body.length; i++) {
            if (i < body.length && body[i] != '&') {
                continue;
            }
            addPair(body, begin, i, charset);
            begin = i + 1;
        }
    }

    private void addPair(byte[] body, int begin, int end, Charset charset) {
        if (begin >= end) {
            return;
        }
        int equals = begin;
        while (equals < end && body[equals] != '=') {
            equals++;
        }
        if (equals == begin) {
            return;
        }
        byte[] name = decoded(body, begin, equals);
        byte[] value = equals < end ? decoded(body, equals + 1, end) : new byte[0];
        if (name != null && value != null) {
            add(new String(name, charset), new String(value, charset));
        }
    }

    private static byte[] decoded(byte[] body, int begin, int end) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(end - begin);
        for (int i = begin; i < end; i++) {
            if (body[i] == '+') {
                out.write(' ');
            } else if (body[i] == '%') {
                boolean whole = i + 2 < end;
                int high = whole ? Character.digit(body[i + 1], 16) : -1;
                int low = whole ? Character.digit(body[i + 2], 16) : -1;
                if (high < 0 || low < 0) {
                    return null;
                }
                out.write(high << 4 | low);
                i += 2;
            } else {
                out.write(body[i]);
            }
        }
        return out.toByteArray();
    }

    Map<String, String[]> map() {
        Map<String, String[]> map = new LinkedHashMap<>();
        values.forEach((name, list) -> map.put(name, list.toArray(new String[0])));
        return map;
    }
}
