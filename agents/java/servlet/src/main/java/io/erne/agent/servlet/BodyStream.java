package io.erne.agent.servlet;

import io.erne.agent.UploadHasher;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * A request's body: what was read ahead for the verdict comes first, then the container's stream goes on. Copies the
 * first bytes while they pass, and hashes uploads; never more than that stays in memory.
 */
final class BodyStream extends ServletInputStream {
    private final ServletInputStream source;
    private final int seenMax;
    private final UploadHasher hasher;
    private final ByteArrayOutputStream seen = new ByteArrayOutputStream();
    private byte[] ahead = new byte[0];
    private int at;
    private boolean ended;
    private boolean cut;
    /** What reading ahead met: the application gets it where it would have met it. */
    private IOException failure;
    private boolean listening;

    BodyStream(ServletInputStream source, int seenMax, UploadHasher hasher) {
        this.source = source;
        this.seenMax = seenMax;
        this.hasher = hasher;
    }

    /** Reads up to {@code max} bytes ahead; {@code length} is what the request declared, or -1. */
    void readAhead(int max, long length) {
        int want = (int) (length >= 0 ? Math.min(length, max) : max);
        byte[] buffer = new byte[Math.min(want, 8192)];
        int filled = 0;
        try {
            while (filled < want) {
                if (filled == buffer.length) {
                    buffer = Arrays.copyOf(buffer, Math.min(want, buffer.length * 2));
                }
                int n = source.read(buffer, filled, buffer.length - filled);
                if (n < 0) {
                    ended = true;
                    break;
                }
                filled += n;
            }
        } catch (IOException e) {
            failure = e;
        }
        ahead = Arrays.copyOf(buffer, filled);
        note(ahead, 0, filled);
        cut = !ended && filled != length;
    }

    private void note(byte[] bytes, int offset, int n) {
        int room = seenMax - seen.size();
        seen.write(bytes, offset, Math.min(room, n));
        cut |= n > room;
        if (hasher != null) {
            hasher.push(bytes, offset, n);
        }
    }

    byte[] seen() {
        return seen.toByteArray();
    }

    List<UploadHasher.Upload> uploads() {
        return hasher == null ? List.of() : hasher.files();
    }

    /** Whether a file has not been seen to its end. */
    boolean uploadsCut() {
        return hasher != null && !hasher.complete() && !hasher.files().isEmpty();
    }

    /** Whether there is, or may be, more than {@link #seen}. */
    boolean cut(long length) {
        return cut || !ended && seen.size() != length;
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
        if (length == 0) {
            return 0;
        }
        if (at < ahead.length) {
            int n = Math.min(length, ahead.length - at);
            System.arraycopy(ahead, at, bytes, offset, n);
            at += n;
            return n;
        }
        if (failure != null) {
            throw failure;
        }
        if (ended) {
            return -1;
        }
        int n = source.read(bytes, offset, length);
        if (n < 0) {
            ended = true;
        } else {
            note(bytes, offset, n);
        }
        return n;
    }

    @Override
    public int available() throws IOException {
        return at < ahead.length ? ahead.length - at : ended ? 0 : source.available();
    }

    @Override
    public boolean isFinished() {
        return at >= ahead.length && (ended || source.isFinished());
    }

    @Override
    public boolean isReady() {
        return at < ahead.length || source.isReady();
    }

    /** What was read ahead is offered first; only then does the container's own notice count. */
    @Override
    public void setReadListener(ReadListener listener) {
        if (listening) {
            throw new IllegalStateException("a ReadListener is set already");
        }
        listening = true;
        source.setReadListener(new ReadListener() {
            @Override
            public void onDataAvailable() throws IOException {
                listener.onDataAvailable();
            }

            @Override
            public void onAllDataRead() throws IOException {
                if (at < ahead.length) {
                    listener.onDataAvailable();
                }
                if (at >= ahead.length) {
                    listener.onAllDataRead();
                }
            }

            @Override
            public void onError(Throwable t) {
                listener.onError(t);
            }
        });
    }

    @Override
    public void close() throws IOException {
        at = ahead.length;
        source.close();
    }
}
