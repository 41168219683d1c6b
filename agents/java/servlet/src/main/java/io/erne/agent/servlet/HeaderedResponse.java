package io.erne.agent.servlet;

import jakarta.servlet.ServletOutputStream;
import jakarta.servlet.WriteListener;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpServletResponseWrapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.Map;

/**
 * Adds the profile's secure headers at the last moment before the response is committed, and only those the
 * application has not set by then. Bytes and their order are untouched.
 */
final class HeaderedResponse extends HttpServletResponseWrapper {
    private final Map<String, String> headers;
    private boolean done;
    private long written;
    private long length = -1;
    private ServletOutputStream stream;
    private PrintWriter writer;

    HeaderedResponse(HttpServletResponse response, Map<String, String> headers) {
        super(response);
        this.headers = headers;
    }

    static void add(HttpServletResponse response, Map<String, String> headers) {
        headers.forEach((name, value) -> {
            if (!response.containsHeader(name)) {
                response.setHeader(name, value);
            }
        });
    }

    void beforeCommit() {
        if (!done && !isCommitted()) {
            done = true;
            add((HttpServletResponse) getResponse(), headers);
        }
    }

    private void beforeWrite(long bytes) {
        if (done) {
            return;
        }
        written += bytes;
        if (written >= getBufferSize() || length >= 0 && written >= length) {
            beforeCommit();
        }
    }

    @Override
    public void setContentLength(int length) {
        this.length = length;
        super.setContentLength(length);
    }

    @Override
    public void setContentLengthLong(long length) {
        this.length = length;
        super.setContentLengthLong(length);
    }

    private void noteLength(String name, String value) {
        if ("content-length".equalsIgnoreCase(name) && value != null) {
            try {
                length = Long.parseLong(value.strip());
            } catch (NumberFormatException e) {
                length = -1;
            }
        }
    }

    @Override
    public void setHeader(String name, String value) {
        noteLength(name, value);
        super.setHeader(name, value);
    }

    @Override
    public void addHeader(String name, String value) {
        noteLength(name, value);
        super.addHeader(name, value);
    }

    @Override
    public void flushBuffer() throws IOException {
        beforeCommit();
        super.flushBuffer();
    }

    @Override
    public void sendError(int status) throws IOException {
        beforeCommit();
        super.sendError(status);
    }

    @Override
    public void sendError(int status, String message) throws IOException {
        beforeCommit();
        super.sendError(status, message);
    }

    @Override
    public void sendRedirect(String location) throws IOException {
        beforeCommit();
        super.sendRedirect(location);
    }

    @Override
    public void reset() {
        super.reset();
        done = false;
        written = 0;
        length = -1;
    }

    @Override
    public void resetBuffer() {
        super.resetBuffer();
        written = 0;
    }

    @Override
    public ServletOutputStream getOutputStream() throws IOException {
        if (stream == null) {
            stream = new Stream(super.getOutputStream());
        }
        return stream;
    }

    @Override
    public PrintWriter getWriter() throws IOException {
        if (writer == null) {
            writer = new Writer(super.getWriter());
        }
        return writer;
    }

    private final class Stream extends ServletOutputStream {
        private final ServletOutputStream out;

        Stream(ServletOutputStream out) {
            this.out = out;
        }

        @Override
        public void write(int b) throws IOException {
            beforeWrite(1);
            out.write(b);
        }

        @Override
        public void write(byte[] bytes, int offset, int count) throws IOException {
            beforeWrite(count);
            out.write(bytes, offset, count);
        }

        @Override
        public void flush() throws IOException {
            beforeCommit();
            out.flush();
        }

        @Override
        public void close() throws IOException {
            beforeCommit();
            out.close();
        }

        @Override
        public boolean isReady() {
            return out.isReady();
        }

        @Override
        public void setWriteListener(WriteListener listener) {
            out.setWriteListener(listener);
        }
    }

    /** All other methods of PrintWriter end in these. */
    private final class Writer extends PrintWriter {
        Writer(PrintWriter out) {
            super(out, false);
        }

        @Override
        public void write(int c) {
            beforeWrite(4);
            super.write(c);
        }

        @Override
        public void write(char[] chars, int offset, int count) {
            beforeWrite(count * 4L);
            super.write(chars, offset, count);
        }

        @Override
        public void write(String text, int offset, int count) {
            beforeWrite(count * 4L);
            super.write(text, offset, count);
        }

        @Override
        public void flush() {
            beforeCommit();
            super.flush();
        }

        @Override
        public void close() {
            beforeCommit();
            super.close();
        }

        @Override
        public boolean checkError() {
            beforeCommit();
            return super.checkError();
        }
    }
}
