package io.erne.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** Requests written and answers read byte by byte, so that nothing between hides a difference. */
public final class RawHttp {
    private RawHttp() {}

    /** An answer: its head as lines without {@code Date}, its body as on the wire. */
    public record Answer(List<String> head, byte[] body) {
        public int status() {
            return Integer.parseInt(head.get(0).split(" ")[1]);
        }

        public String text() {
            return new String(body, StandardCharsets.UTF_8);
        }

        public String header(String name) {
            return head.stream().filter(h -> h.regionMatches(true, 0, name + ":", 0, name.length() + 1)).map(h -> h.substring(name.length() + 1).strip()).findFirst().orElse(null);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Answer answer && head.equals(answer.head) && Arrays.equals(body, answer.body);
        }

        @Override
        public int hashCode() {
            return head.hashCode();
        }

        @Override
        public String toString() {
            return String.join("\n", head) + "\n\n" + (body.length > 2000 ? body.length + " bytes" : new String(body, StandardCharsets.ISO_8859_1));
        }
    }

    public static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** {@code head} is request line and headers; host and {@code Connection: close} are added. */
    public static Answer send(int port, String head, byte[]... pieces) throws IOException {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
            socket.setSoTimeout(30_000);
            socket.getOutputStream().write(bytes(head.strip().replace("\n", "\r\n") + "\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
            for (byte[] piece : pieces) {
                socket.getOutputStream().write(piece);
                socket.getOutputStream().flush();
            }
            return read(socket.getInputStream());
        }
    }

    public static Answer get(int port, String target, String... headers) throws IOException {
        return send(port, "GET " + target + " HTTP/1.1\n" + String.join("\n", headers));
    }

    public static Answer post(int port, String target, String type, byte[] body, String... headers) throws IOException {
        return send(port, "POST " + target + " HTTP/1.1\nContent-Type: " + type + "\nContent-Length: " + body.length + "\n" + String.join("\n", headers), body);
    }

    /** A request whose answer may arrive. */
    public interface Try {
        Answer send() throws IOException;
    }

    /** A server that closes a connection with unread bytes resets it, and the answer may be lost on the way: that is TCP, with and without an agent. */
    public static Answer unreset(Try request) throws IOException {
        for (int left = 9; ; left--) {
            try {
                return request.send();
            } catch (java.net.SocketException reset) {
                if (left == 0) {
                    throw reset;
                }
            }
        }
    }

    /** A chunk of a chunked body. */
    public static byte[] chunk(byte[] data) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(bytes(Integer.toHexString(data.length) + "\r\n"));
        out.writeBytes(data);
        out.writeBytes(bytes("\r\n"));
        return out.toByteArray();
    }

    private static Answer read(InputStream in) throws IOException {
        byte[] all = in.readAllBytes();
        String text = new String(all, StandardCharsets.ISO_8859_1);
        int end = text.indexOf("\r\n\r\n");
        if (end < 0) {
            throw new IOException("no answer: " + text);
        }
        List<String> head = Arrays.stream(text.substring(0, end).split("\r\n")).filter(h -> !h.startsWith("Date:") && !h.startsWith("date:")).toList();
        return new Answer(head, Arrays.copyOfRange(all, end + 4, all.length));
    }
}
