package io.erne.agent;

import java.util.concurrent.ThreadLocalRandom;

/** W3C Trace Context: the trace a request belongs to, taken from {@code traceparent} or begun here. */
public record TraceContext(String traceId, String flags) {
    /** Reads a header; an absent or malformed one begins a new trace, as the recommendation says. */
    public static TraceContext of(String traceparent) {
        if (traceparent != null && traceparent.length() <= 512) {
            String text = traceparent.strip();
            boolean shape = text.matches("(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?");
            if (shape && (text.length() == 55 || !text.startsWith("00"))) {
                return new TraceContext(text.substring(3, 35), text.substring(53, 55));
            }
        }
        ThreadLocalRandom random = ThreadLocalRandom.current();
        return new TraceContext(hex(random.nextLong()) + hex(random.nextLong() | 1), "00");
    }

    /** A {@code traceparent} of a new span of this trace. */
    public String child() {
        return "00-" + traceId + "-" + hex(ThreadLocalRandom.current().nextLong() | 1) + "-" + flags;
    }

    private static String hex(long value) {
        String digits = Long.toHexString(value);
        return "0".repeat(16 - digits.length()) + digits;
    }
}
