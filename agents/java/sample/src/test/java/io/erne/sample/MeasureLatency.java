package io.erne.sample;

import io.erne.agent.AppProcess;
import io.erne.agent.StandInGateway;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What the agent adds to a request: the same requests, in turn, to the sample without and with it. Run by
 * {@code scripts/agent_java.sh measure}; with {@code ERNE_AGENT_GATEWAY, _ID, _SECRET} by a real gateway, else by the
 * stand-in, which shows the agent's own share.
 */
class MeasureLatency {
    private static final int WARM = 1_500;
    private static final int COUNT = 1_500;
    /** Tomcat ends a connection after 100 requests unless told otherwise. */
    private static final String KEEP = "--server.tomcat.max-keep-alive-requests=-1";

    @TempDir
    Path directory;

    @Test
    void measure() throws Exception {
        String url = System.getenv("ERNE_AGENT_GATEWAY");
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"protection\",\"timeout_ms\":5000")) {
            String[] arguments = url == null ? AppProcess.agent(gateway, directory, KEEP)
                : new String[] {"--erne.agent.gateway=" + url, "--erne.agent.id=" + System.getenv("ERNE_AGENT_ID"),
                    "--erne.agent.secret=" + System.getenv("ERNE_AGENT_SECRET"), "--erne.agent.data-dir=" + directory, KEEP};
            try (AppProcess plain = AppProcess.launch(List.of(), SampleMvcTest.MAIN, KEEP); AppProcess guarded = AppProcess.launch(List.of(), SampleMvcTest.MAIN, arguments);
                 Client without = new Client(plain.port()); Client with = new Client(guarded.port())) {
                if (with.status("/search?q=%27%20OR%20%271%27=%271") != 403) {
                    throw new IllegalStateException("the agent is not in protection mode");
                }
                System.out.println(url == null ? "by the stand-in gateway" : "by the gateway at " + url);
                report("GET with a query", without, with, "GET /search?q=blue+shoes HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\nCookie: a=1\r\n", "");
                report("POST, form of 200 bytes", without, with, "POST /form HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n", "a=" + "x".repeat(100) + "&b=" + "y".repeat(95));
                report("POST, JSON of 20 kB", without, with, "POST /json HTTP/1.1\r\nContent-Type: application/json\r\n", "{\"text\":\"" + "lorem ipsum ".repeat(1_700) + "\"}");
            }
        }
    }

    private static void report(String what, Client without, Client with, String head, String body) throws IOException {
        byte[] request = (head + "Host: localhost\r\nContent-Length: " + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.ISO_8859_1);
        long[] plain = new long[COUNT];
        long[] guarded = new long[COUNT];
        for (int i = -WARM; i < COUNT; i++) {
            long first = without.time(request);
            long second = with.time(request);
            if (i >= 0) {
                plain[i] = first;
                guarded[i] = second;
            }
        }
        Arrays.sort(plain);
        Arrays.sort(guarded);
        System.out.printf(Locale.ROOT, "%-26s median %.2f ms without, %.2f ms with: adds %.2f ms; p99 %.2f and %.2f ms%n", what, plain[COUNT / 2] / 1e6, guarded[COUNT / 2] / 1e6,
            (guarded[COUNT / 2] - plain[COUNT / 2]) / 1e6, plain[COUNT * 99 / 100] / 1e6, guarded[COUNT * 99 / 100] / 1e6);
    }

    /** One kept connection. */
    private static final class Client implements AutoCloseable {
        private final Socket socket;

        Client(int port) throws IOException {
            socket = new Socket("127.0.0.1", port);
            socket.setTcpNoDelay(true);
        }

        long time(byte[] request) throws IOException {
            long begin = System.nanoTime();
            socket.getOutputStream().write(request);
            int status = read();
            long end = System.nanoTime();
            if (status != 200) {
                throw new IOException("status " + status);
            }
            return end - begin;
        }

        int status(String target) throws IOException {
            socket.getOutputStream().write(("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            return read();
        }

        private int read() throws IOException {
            InputStream in = socket.getInputStream();
            byte[] buffer = new byte[65_536];
            int filled = 0;
            while (true) {
                int n = in.read(buffer, filled, buffer.length - filled);
                if (n < 0) {
                    throw new IOException("the connection ended");
                }
                filled += n;
                String text = new String(buffer, 0, filled, StandardCharsets.ISO_8859_1);
                int end = text.indexOf("\r\n\r\n");
                if (end < 0) {
                    continue;
                }
                String head = text.substring(0, end).toLowerCase(Locale.ROOT);
                int at = head.indexOf("content-length: ");
                boolean whole = at >= 0 ? filled >= end + 4 + Integer.parseInt(head.substring(at + 16).split("\r\n")[0].strip()) : text.endsWith("0\r\n\r\n");
                if (whole) {
                    return Integer.parseInt(head.substring(9, 12));
                }
            }
        }

        @Override
        public void close() throws IOException {
            socket.close();
        }
    }
}
