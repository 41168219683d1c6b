package io.erne.agent;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/** What happened since the start. */
public final class Counters {
    public final LongAdder requests = new LongAdder();
    public final LongAdder attacks = new LongAdder();
    public final LongAdder blocked = new LongAdder();
    /** Internal errors and gateway failures; the application saw none of them. */
    public final LongAdder errors = new LongAdder();
    /** Transactions that were neither inspected nor stored, for want of room or of a gateway. */
    public final LongAdder dropped = new LongAdder();

    Map<String, Object> json(long queue) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("requests", requests.sum());
        map.put("attacks", attacks.sum());
        map.put("blocked", blocked.sum());
        map.put("errors", errors.sum());
        map.put("dropped", dropped.sum());
        map.put("queue", queue);
        return map;
    }
}
