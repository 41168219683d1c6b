package io.erne.agent.spring;

import io.erne.agent.UploadHasher;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.reactivestreams.Publisher;
import org.reactivestreams.Subscription;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import reactor.core.CoreSubscriber;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.MonoSink;
import reactor.core.publisher.Operators;

/**
 * A request's body of which the beginning is read before the handler runs, and given to it again.
 *
 * <p>Buffers read ahead are kept, not copied; the handler gets those first, by its own demand, and then its demand goes
 * to the source as it is. What nobody takes is released by {@link #release}.
 */
final class AheadBody implements CoreSubscriber<DataBuffer>, Subscription {
    private final Publisher<DataBuffer> source;
    private final int max;
    private final SeenBytes seen;
    private final Queue<DataBuffer> held = new ConcurrentLinkedQueue<>();
    private final AtomicLong demand = new AtomicLong();
    private final AtomicInteger draining = new AtomicInteger();
    private final AtomicBoolean taken = new AtomicBoolean();
    private volatile Subscription upstream;
    private volatile MonoSink<Void> ahead;
    private volatile CoreSubscriber<? super DataBuffer> downstream;
    private volatile boolean flowing;
    private volatile boolean ended;
    private volatile boolean cancelled;
    private boolean told;
    private Throwable failure;

    AheadBody(Publisher<DataBuffer> source, int max, SeenBytes seen) {
        this.source = source;
        this.max = max;
        this.seen = seen;
    }

    /** The first bytes of a body as they pass, and what they say of uploads. Used by one thread at a time. */
    static final class SeenBytes {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final int max;
        private final UploadHasher hasher;
        private boolean cut;
        private boolean ended;

        SeenBytes(int max, String contentType) {
            this.max = max;
            this.hasher = UploadHasher.of(contentType);
        }

        synchronized void note(DataBuffer buffer) {
            try (DataBuffer.ByteBufferIterator parts = buffer.readableByteBuffers()) {
                while (parts.hasNext()) {
                    ByteBuffer part = parts.next();
                    byte[] copy = new byte[part.remaining()];
                    part.get(copy);
                    int room = Math.min(max - bytes.size(), copy.length);
                    bytes.write(copy, 0, room);
                    cut |= room < copy.length;
                    if (hasher != null) {
                        hasher.push(copy, 0, copy.length);
                    }
                }
            }
        }

        synchronized void end() {
            ended = true;
        }

        synchronized int size() {
            return bytes.size();
        }

        synchronized byte[] bytes() {
            return bytes.toByteArray();
        }

        synchronized boolean cut(long length) {
            return cut || !ended && bytes.size() != length;
        }

        synchronized List<UploadHasher.Upload> uploads() {
            return hasher == null ? List.of() : hasher.files();
        }

        synchronized boolean uploadsCut() {
            return hasher != null && !hasher.complete() && !hasher.files().isEmpty();
        }
    }

    /** Completes, always without an error, when enough was read, all was read, or reading failed. */
    Mono<Void> readAhead() {
        return Mono.create(sink -> {
            ahead = sink;
            source.subscribe(this);
        });
    }

    /** For one subscriber, after {@link #readAhead}. */
    Flux<DataBuffer> flux() {
        return Flux.from(subscriber -> {
            CoreSubscriber<? super DataBuffer> actual = Operators.toCoreSubscriber(subscriber);
            if (!taken.compareAndSet(false, true)) {
                Operators.error(actual, new IllegalStateException("the body can be read once"));
                return;
            }
            actual.onSubscribe(this);
            downstream = actual;
            drain();
        });
    }

    @Override
    public void onSubscribe(Subscription subscription) {
        upstream = subscription;
        subscription.request(1);
    }

    @Override
    public void onNext(DataBuffer buffer) {
        try {
            seen.note(buffer);
        } catch (RuntimeException e) {
            // What cannot be looked at is passed on all the same.
            seen.end();
        }
        if (flowing) {
            if (cancelled) {
                DataBufferUtils.release(buffer);
            } else {
                downstream.onNext(buffer);
            }
            return;
        }
        held.add(buffer);
        if (seen.size() < max && !cancelled) {
            upstream.request(1);
        } else {
            begin();
        }
    }

    private void begin() {
        flowing = true;
        ahead.success();
        drain();
    }

    @Override
    public void onError(Throwable error) {
        failure = error;
        finish();
    }

    @Override
    public void onComplete() {
        seen.end();
        finish();
    }

    private void finish() {
        ended = true;
        if (!flowing) {
            begin();
        } else {
            drain();
        }
    }

    @Override
    public void request(long n) {
        if (Operators.validate(n)) {
            demand.accumulateAndGet(n, Operators::addCap);
            drain();
        }
    }

    @Override
    public void cancel() {
        cancelled = true;
        if (!ended && upstream != null) {
            upstream.cancel();
        }
        drain();
    }

    /** Ends it when the exchange is over, however much of it was taken. */
    void release() {
        taken.set(true);
        cancel();
    }

    private void drain() {
        if (draining.getAndIncrement() != 0) {
            return;
        }
        int missed = 1;
        do {
            step();
            missed = draining.addAndGet(-missed);
        } while (missed != 0);
    }

    private void step() {
        CoreSubscriber<? super DataBuffer> to = downstream;
        while (!cancelled && to != null && demand.get() > 0 && !held.isEmpty()) {
            to.onNext(held.poll());
            if (demand.get() != Long.MAX_VALUE) {
                demand.decrementAndGet();
            }
        }
        if (cancelled) {
            for (DataBuffer buffer; (buffer = held.poll()) != null; ) {
                DataBufferUtils.release(buffer);
            }
        } else if (to != null && flowing && held.isEmpty()) {
            pass(to);
        }
    }

    private void pass(CoreSubscriber<? super DataBuffer> to) {
        if (!ended) {
            long more = demand.getAndSet(0);
            if (more > 0) {
                upstream.request(more);
            }
        } else if (!told) {
            told = true;
            if (failure != null) {
                to.onError(failure);
            } else {
                to.onComplete();
            }
        }
    }
}
