package io.erne.agent;

/**
 * Keeps requests from waiting for a gateway that does not answer: after {@link #FAILURES_MAX} failures in a row the
 * gateway is not asked for a while, then one request tries, and the pause doubles if that fails too.
 */
final class CircuitBreaker {
    static final int FAILURES_MAX = 5;
    static final long PAUSE_MS_MIN = 1_000;
    static final long PAUSE_MS_MAX = 30_000;

    private int failures;
    private long pauseMs = PAUSE_MS_MIN;
    private long openUntilNanos;
    private boolean open;
    private boolean trying;

    /** Whether the gateway may be asked now. Whoever gets true must call {@link #success} or {@link #failure}. */
    synchronized boolean allows(long nowNanos) {
        if (!open) {
            return true;
        }
        if (trying || nowNanos - openUntilNanos < 0) {
            return false;
        }
        trying = true;
        return true;
    }

    synchronized void success() {
        failures = 0;
        pauseMs = PAUSE_MS_MIN;
        open = false;
        trying = false;
    }

    synchronized void failure(long nowNanos) {
        failures++;
        if (trying) {
            pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
        }
        if (trying || !open && failures >= FAILURES_MAX) {
            open = true;
            trying = false;
            openUntilNanos = nowNanos + pauseMs * 1_000_000;
        }
    }

    synchronized boolean isOpen() {
        return open;
    }
}
