package io.erne.agent;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * Keep-alive HTTP/1.1 connections to the gateway.
 *
 * <p>Own code in place of {@code java.net.http}: a request is written and read on the caller's thread (no hop to a
 * selector thread and back), a deadline bounds the whole exchange, a virtual thread parks in it, and
 * {@link #close} ends it all, which {@code HttpClient} of Java 17 cannot.
 */
final class GatewayConnections implements AutoCloseable {
    /** Connections open at once; a caller beyond that waits within its deadline. */
    static final int CONNECTIONS_MAX = 64;
    /** Idle connections older than this are not used again: gateways and proxies close theirs after a minute or so. */
    static final long IDLE_SECS_MAX = 30;
    static final int RESPONSE_BYTES_MAX = 16 << 20;
    private static final int LINE_BYTES_MAX = 16_384;
    private static final int HEADERS_MAX = 200;
    /** A request up to this size fits the socket's buffer, so that writing it cannot block past the deadline. */
    private static final int UNGUARDED_BYTES_MAX = 16_384;

    private final String host;
    private final int port;
    private final boolean tls;
    private final SSLSocketFactory factory;
    private final String hostHeader;
    private final ConcurrentLinkedDeque<Connection> idle = new ConcurrentLinkedDeque<>();
    private final Set<Connection> open = ConcurrentHashMap.newKeySet();
    private final Semaphore permits = new Semaphore(CONNECTIONS_MAX);
    private final ScheduledThreadPoolExecutor timer;
    private volatile boolean closed;

    record Response(int status, byte[] body) {
        String text() {
            return new String(body, StandardCharsets.UTF_8);
        }
    }

    /** Headers for one attempt; a second attempt needs a new nonce. */
    interface Headers {
        Map<String, String> next();
    }

    GatewayConnections(URI gateway, SSLSocketFactory factory, ScheduledThreadPoolExecutor timer) {
        this.tls = "https".equalsIgnoreCase(gateway.getScheme());
        if (!tls && !"http".equalsIgnoreCase(gateway.getScheme()) || gateway.getHost() == null) {
            throw new IllegalArgumentException("the gateway's address is no http or https URL: " + gateway);
        }
        String name = gateway.getHost();
        this.host = name.startsWith("[") ? name.substring(1, name.length() - 1) : name;
        this.port = gateway.getPort() >= 0 ? gateway.getPort() : tls ? 443 : 80;
        this.hostHeader = name + (gateway.getPort() >= 0 ? ":" + gateway.getPort() : "");
        this.factory = factory;
        this.timer = timer;
    }

    private static final class Connection {
        final Socket socket;
        final InputStream in;
        long idleSinceNanos;
        boolean used;
        /** Whether a byte of the current response came. */
        boolean answered;
        boolean keep;

        Connection(Socket socket) throws IOException {
            this.socket = socket;
            this.in = new BufferedInputStream(socket.getInputStream(), 8192);
        }

        void close() {
            try {
                socket.close();
            } catch (IOException e) {
                // It is gone either way.
            }
        }
    }

    /** One request and its response, within {@code timeoutMs} altogether. */
    Response exchange(String method, String path, byte[] body, Headers headers, long timeoutMs) throws IOException {
        long deadline = System.nanoTime() + timeoutMs * 1_000_000;
        try {
            if (!permits.tryAcquire(timeoutMs, TimeUnit.MILLISECONDS)) {
                throw new SocketTimeoutException("all connections to the gateway are busy");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
        try {
            Connection connection = take(deadline);
            boolean reused = connection.used;
            try {
                return attempt(connection, method, path, body, headers, deadline);
            } catch (SocketTimeoutException e) {
                throw e;
            } catch (IOException e) {
                // The gateway closed a kept connection, as a restart does: that is no failure of this request.
                if (!reused || connection.answered || closed || System.nanoTime() - deadline >= 0) {
                    throw e;
                }
                dropIdle();
                return attempt(connect(deadline), method, path, body, headers, deadline);
            }
        } finally {
            permits.release();
        }
    }

    private Response attempt(Connection connection, String method, String path, byte[] body, Headers headers, long deadline) throws IOException {
        boolean done = false;
        ScheduledFuture<?> guard = null;
        try {
            connection.answered = false;
            if (body.length > UNGUARDED_BYTES_MAX) {
                guard = timer.schedule(connection::close, Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
            }
            write(connection, method, path, body, headers.next());
            Response response = read(connection, deadline);
            done = true;
            return response;
        } catch (IOException e) {
            if (System.nanoTime() - deadline >= 0 && !(e instanceof SocketTimeoutException)) {
                throw timeout(e);
            }
            throw e;
        } finally {
            if (guard != null) {
                guard.cancel(false);
            }
            release(connection, done);
        }
    }

    private static SocketTimeoutException timeout(Throwable cause) {
        SocketTimeoutException timeout = new SocketTimeoutException("the gateway did not answer in time");
        timeout.initCause(cause);
        return timeout;
    }

    private Connection take(long deadline) throws IOException {
        long now = System.nanoTime();
        for (Connection connection; (connection = idle.pollFirst()) != null; ) {
            if (now - connection.idleSinceNanos < IDLE_SECS_MAX * 1_000_000_000L) {
                return connection;
            }
            discard(connection);
        }
        return connect(deadline);
    }

    private Connection connect(long deadline) throws IOException {
        if (closed) {
            throw new IOException("the agent is stopped");
        }
        Socket socket = new Socket();
        // Reads of a handshake have a time limit each; only this bounds their sum.
        ScheduledFuture<?> guard = tls ? timer.schedule(() -> close(socket), Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS) : null;
        try {
            socket.setTcpNoDelay(true);
            socket.connect(new InetSocketAddress(host, port), remainingMs(deadline));
            socket.setSoTimeout(remainingMs(deadline));
            Connection connection = new Connection(tls ? secured(socket) : socket);
            open.add(connection);
            if (closed) {
                discard(connection);
                throw new IOException("the agent is stopped");
            }
            return connection;
        } catch (IOException | RuntimeException e) {
            close(socket);
            throw e;
        } finally {
            if (guard != null) {
                guard.cancel(false);
            }
        }
    }

    private Socket secured(Socket socket) throws IOException {
        SSLSocket secured = (SSLSocket) factory.createSocket(socket, host, port, true);
        SSLParameters parameters = secured.getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        secured.setSSLParameters(parameters);
        secured.startHandshake();
        return secured;
    }

    private static void close(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
        }
    }

    private static int remainingMs(long deadline) throws SocketTimeoutException {
        long left = deadline - System.nanoTime();
        if (left <= 0) {
            throw new SocketTimeoutException("the gateway did not answer in time");
        }
        return (int) Math.max(1, left / 1_000_000);
    }

    private void write(Connection connection, String method, String path, byte[] body, Map<String, String> headers) throws IOException {
        StringBuilder head = new StringBuilder(512).append(method).append(' ').append(path).append(" HTTP/1.1\r\nHost: ").append(hostHeader).append("\r\n");
        headers.forEach((name, value) -> head.append(name).append(": ").append(value).append("\r\n"));
        if (!method.equals("GET")) {
            head.append("Content-Type: application/json\r\nContent-Length: ").append(body.length).append("\r\n");
        }
        byte[] start = head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
        ByteArrayOutputStream all = new ByteArrayOutputStream(start.length + body.length);
        all.write(start, 0, start.length);
        all.write(body, 0, body.length);
        // One write, one packet where it fits.
        all.writeTo(connection.socket.getOutputStream());
        connection.socket.getOutputStream().flush();
    }

    private Response read(Connection connection, long deadline) throws IOException {
        while (true) {
            String status = line(connection, deadline);
            if (!status.matches("HTTP/1\\.[01] [0-9]{3}.*")) {
                throw new IOException("the gateway does not speak HTTP/1.1");
            }
            int code = Integer.parseInt(status.substring(9, 12));
            long length = -1;
            boolean chunked = false;
            connection.keep = status.startsWith("HTTP/1.1");
            int count = 0;
            for (String header; !(header = line(connection, deadline)).isEmpty(); ) {
                int colon = header.indexOf(':');
                if (colon <= 0 || ++count > HEADERS_MAX) {
                    throw new IOException("the gateway's response has unreadable headers");
                }
                String value = header.substring(colon + 1).strip();
                switch (header.substring(0, colon).toLowerCase(Locale.ROOT)) {
                    case "content-length" -> length = length(value, 10);
                    case "transfer-encoding" -> chunked = value.equalsIgnoreCase("chunked");
                    case "connection" -> connection.keep &= !value.equalsIgnoreCase("close");
                    default -> { }
                }
            }
            if (code >= 200) {
                return new Response(code, body(connection, code, length, chunked, deadline));
            }
        }
    }

    private static long length(String digits, int radix) throws IOException {
        try {
            long length = Long.parseLong(digits, radix);
            if (length >= 0 && length <= RESPONSE_BYTES_MAX) {
                return length;
            }
        } catch (NumberFormatException e) {
            throw new IOException("the gateway's response has an unreadable length", e);
        }
        throw new IOException("the gateway's response is too large");
    }

    private byte[] body(Connection connection, int code, long length, boolean chunked, long deadline) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream(length > 0 ? (int) length : 256);
        if (code == 204 || code == 304) {
            return out.toByteArray();
        }
        if (chunked) {
            for (long size; (size = length(line(connection, deadline).split(";", 2)[0].strip(), 16)) > 0; ) {
                copy(connection, out, size, deadline);
                line(connection, deadline);
            }
            while (!line(connection, deadline).isEmpty()) {
                // Trailers say nothing that is needed.
            }
        } else if (length >= 0) {
            copy(connection, out, length, deadline);
        } else {
            connection.keep = false;
            for (int c; (c = next(connection, deadline)) >= 0; ) {
                room(out, 1);
                out.write(c);
            }
        }
        return out.toByteArray();
    }

    private static void room(ByteArrayOutputStream out, long more) throws IOException {
        if (out.size() + more > RESPONSE_BYTES_MAX) {
            throw new IOException("the gateway's response is too large");
        }
    }

    private static void copy(Connection connection, ByteArrayOutputStream out, long size, long deadline) throws IOException {
        room(out, size);
        byte[] buffer = new byte[(int) Math.min(size, 8192)];
        for (long left = size; left > 0; ) {
            connection.socket.setSoTimeout(remainingMs(deadline));
            int n = connection.in.read(buffer, 0, (int) Math.min(left, buffer.length));
            if (n < 0) {
                throw new EOFException("the gateway closed the connection within its response");
            }
            out.write(buffer, 0, n);
            left -= n;
        }
    }

    private static int next(Connection connection, long deadline) throws IOException {
        if (connection.in.available() == 0) {
            connection.socket.setSoTimeout(remainingMs(deadline));
        }
        int c = connection.in.read();
        connection.answered |= c >= 0;
        return c;
    }

    private static String line(Connection connection, long deadline) throws IOException {
        StringBuilder line = new StringBuilder(64);
        for (int c; (c = next(connection, deadline)) != '\n'; line.append((char) c)) {
            if (c < 0) {
                throw new EOFException("the gateway closed the connection");
            }
            if (line.length() > LINE_BYTES_MAX) {
                throw new IOException("the gateway's response has a line that is too long");
            }
        }
        int length = line.length();
        return length > 0 && line.charAt(length - 1) == '\r' ? line.substring(0, length - 1) : line.toString();
    }

    private void release(Connection connection, boolean done) {
        if (!done || !connection.keep || closed) {
            discard(connection);
            return;
        }
        connection.used = true;
        connection.idleSinceNanos = System.nanoTime();
        idle.addFirst(connection);
        if (closed) {
            dropIdle();
        }
    }

    private void discard(Connection connection) {
        open.remove(connection);
        connection.close();
    }

    private void dropIdle() {
        for (Connection connection; (connection = idle.pollFirst()) != null; ) {
            discard(connection);
        }
    }

    /** Closes what was idle for too long. */
    void reap() {
        long now = System.nanoTime();
        for (Connection connection : idle) {
            if (now - connection.idleSinceNanos >= IDLE_SECS_MAX * 1_000_000_000L && idle.remove(connection)) {
                discard(connection);
            }
        }
    }

    /** Closes every connection; whoever waits on one gets an error at once. */
    @Override
    public void close() {
        closed = true;
        open.forEach(this::discard);
        idle.clear();
    }
}
