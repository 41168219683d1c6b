package io.erne.agent.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.core.io.buffer.NettyDataBufferFactory;
import reactor.core.publisher.Flux;
import reactor.test.StepVerifier;
import reactor.test.publisher.TestPublisher;

class AheadBodyTest {
    private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(false);
    private final NettyDataBufferFactory buffers = new NettyDataBufferFactory(allocator);
    private final List<DataBuffer> made = new ArrayList<>();

    private DataBuffer buffer(String text) {
        DataBuffer buffer = buffers.wrap(allocator.buffer().writeBytes(text.getBytes(StandardCharsets.US_ASCII)));
        made.add(buffer);
        return buffer;
    }

    private Flux<DataBuffer> source(int count, AtomicLong asked) {
        return Flux.range(0, count).map(i -> buffer("0123456789")).doOnRequest(asked::addAndGet);
    }

    private AheadBody body(org.reactivestreams.Publisher<DataBuffer> source, int max) {
        return new AheadBody(source, max, new AheadBody.SeenBytes(max, null));
    }

    private static String text(DataBuffer buffer) {
        String text = buffer.toString(StandardCharsets.US_ASCII);
        DataBufferUtils.release(buffer);
        return text;
    }

    @AfterEach
    void nothingIsLost() {
        assertEquals(0, allocator.metric().usedHeapMemory(), "every buffer is released");
    }

    @Test
    void readsNoMoreAheadThanItMustAndPassesDemandOn() {
        AtomicLong asked = new AtomicLong();
        AheadBody body = body(source(10, asked), 25);
        body.readAhead().block();
        assertEquals(3, asked.get());
        StepVerifier.create(body.flux().map(AheadBodyTest::text), 0)
            .thenRequest(2).expectNextCount(2).then(() -> assertEquals(3, asked.get(), "what was held comes first"))
            .thenRequest(3).expectNextCount(3).then(() -> assertEquals(5, asked.get(), "then demand goes to the source as it is"))
            .thenRequest(Long.MAX_VALUE).expectNextCount(5).verifyComplete();
    }

    @Test
    void aBodyThatNobodyTakesIsReleased() {
        AtomicLong asked = new AtomicLong();
        AheadBody body = body(source(10, asked), 25);
        body.readAhead().block();
        body.release();
        assertEquals(3, made.size());
        StepVerifier.create(body.flux()).verifyError(IllegalStateException.class);
    }

    @Test
    void oneWhoTakesAPartLeavesNothingBehind() {
        AheadBody body = body(source(10, new AtomicLong()), 45);
        body.readAhead().block();
        StepVerifier.create(body.flux().map(AheadBodyTest::text), 1).expectNextCount(1).thenCancel().verify();
        body.release();
    }

    @Test
    void anErrorComesWhereItWouldHaveCome() {
        AheadBody body = body(Flux.concat(source(2, new AtomicLong()), Flux.error(new IOException("gone"))), 100);
        body.readAhead().block();
        StepVerifier.create(body.flux().map(AheadBodyTest::text)).expectNextCount(2).verifyError(IOException.class);
        body.release();
    }

    @Test
    void anEmptyBodyAndAnEndedExchange() {
        AheadBody empty = body(Flux.empty(), 10);
        empty.readAhead().block();
        StepVerifier.create(empty.flux()).verifyComplete();
        TestPublisher<DataBuffer> slow = TestPublisher.create();
        AheadBody body = body(slow, 100);
        body.readAhead().subscribe();
        slow.next(buffer("abc"));
        body.release();
        assertTrue(slow.wasCancelled());
    }
}
