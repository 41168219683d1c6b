package io.erne.agent;

import java.util.LinkedHashMap;
import java.util.Map;

/** A token bucket for each client address; IPv6 by its /64, which one sender owns whole. Memory is bounded. */
final class RateLimiter {
    /** Clients remembered; the one unseen for longest is forgotten first. */
    static final int CLIENTS_MAX = 20_000;

    private static final class Bucket {
        double tokens;
        long atNanos;
    }

    private final Map<Address, Bucket> buckets = new LinkedHashMap<>(64, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Address, Bucket> eldest) {
            return size() > CLIENTS_MAX;
        }
    };

    /** Whether one more request within {@code requests} per {@code perSecs} is allowed now; none is limited if {@code requests} is 0. */
    synchronized boolean allows(Address client, int requests, int perSecs, long nowNanos) {
        if (requests <= 0 || client == null) {
            return true;
        }
        Address key = client.isV4() ? client : client.masked(64);
        Bucket bucket = buckets.get(key);
        if (bucket == null) {
            bucket = new Bucket();
            bucket.tokens = requests;
            bucket.atNanos = nowNanos;
            buckets.put(key, bucket);
        }
        bucket.tokens = Math.min(requests, bucket.tokens + (nowNanos - bucket.atNanos) / 1e9 * requests / perSecs);
        bucket.atNanos = nowNanos;
        if (bucket.tokens < 1) {
            return false;
        }
        bucket.tokens -= 1;
        return true;
    }
}
