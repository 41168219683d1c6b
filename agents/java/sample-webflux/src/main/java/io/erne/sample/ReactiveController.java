package io.erne.sample;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicLong;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.core.io.buffer.DataBufferUtils;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseCookie;
import org.springframework.http.ResponseEntity;
import org.springframework.http.codec.multipart.FilePart;
import org.springframework.http.codec.multipart.FormFieldPart;
import org.springframework.http.codec.multipart.Part;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RequestPart;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ServerWebExchange;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** One handler for each way of reading a request and of answering it. */
@RestController
public class ReactiveController {
    private final AtomicLong handled = new AtomicLong();

    private String handled(String text) {
        handled.incrementAndGet();
        return text;
    }

    @GetMapping("/handled")
    long count() {
        return handled.get();
    }

    @GetMapping("/search")
    Mono<String> search(@RequestParam(defaultValue = "") String q) {
        return Mono.just(handled("found nothing for " + q));
    }

    @PostMapping("/form")
    Mono<String> form(ServerWebExchange exchange) {
        return exchange.getFormData().map(form -> handled(new TreeMap<>(form).toString()));
    }

    @PostMapping("/json")
    Mono<Map<String, Object>> json(@RequestBody Mono<Map<String, Object>> body) {
        return body.map(map -> {
            handled.incrementAndGet();
            return new TreeMap<>(map);
        });
    }

    @PostMapping("/raw")
    Mono<String> raw(ServerHttpRequest request) {
        return digest(request.getBody()).map(this::handled);
    }

    /** Answers without reading the body. */
    @PostMapping("/ignore")
    Mono<String> ignore() {
        return Mono.just(handled("ignored"));
    }

    /** Takes the first buffer only. */
    @PostMapping("/first")
    Mono<String> first(ServerHttpRequest request) {
        return request.getBody().next().map(buffer -> {
            byte first = buffer.read();
            DataBufferUtils.release(buffer);
            return handled("first byte " + first);
        });
    }

    @PostMapping("/echo")
    Mono<Void> echo(ServerHttpRequest request, ServerHttpResponse response) {
        handled.incrementAndGet();
        response.getHeaders().setContentType(MediaType.APPLICATION_OCTET_STREAM);
        return response.writeWith(request.getBody());
    }

    @PostMapping("/upload")
    Mono<String> upload(@RequestPart("file") FilePart file) {
        return digest(file.content()).map(hash -> handled(file.filename() + "|" + hash));
    }

    @PostMapping("/parts")
    Mono<String> parts(ServerWebExchange exchange) {
        return exchange.getMultipartData().flatMapIterable(map -> new TreeMap<>(map.toSingleValueMap()).values()).concatMap(ReactiveController::describe)
            .collectList().map(all -> handled(String.join("\n", all)));
    }

    private static Mono<String> describe(Part part) {
        return part instanceof FormFieldPart field ? Mono.just(field.name() + "=" + field.value()) : digest(part.content()).map(hash -> part.name() + ":" + hash);
    }

    @GetMapping("/large")
    Flux<DataBuffer> large(ServerHttpResponse response) {
        handled.incrementAndGet();
        return Flux.range(0, 100).map(i -> response.bufferFactory().wrap(new byte[10_000]));
    }

    @GetMapping(value = "/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    Flux<String> events() {
        handled.incrementAndGet();
        return Flux.range(0, 5).delayElements(Duration.ofMillis(5)).map(i -> "event " + i);
    }

    @DeleteMapping("/items/{id}")
    Mono<ResponseEntity<Void>> delete(@PathVariable String id) {
        handled(id);
        return Mono.just(ResponseEntity.noContent().build());
    }

    @GetMapping("/cookies")
    Mono<ResponseEntity<String>> cookies(ServerHttpRequest request) {
        return Mono.just(ResponseEntity.ok().header(HttpHeaders.SET_COOKIE, ResponseCookie.from("a", "1").build().toString()).body(handled(new TreeMap<>(request.getCookies().toSingleValueMap()).keySet().toString())));
    }

    @GetMapping("/framed")
    Mono<ResponseEntity<String>> framed() {
        return Mono.just(ResponseEntity.ok().header("X-Frame-Options", "DENY").body(handled("framed")));
    }

    @GetMapping("/fails")
    Mono<String> fails() {
        handled.incrementAndGet();
        return Mono.error(new IllegalStateException("the application's own error"));
    }

    @GetMapping("/thread")
    Mono<Boolean> thread() {
        return Mono.fromSupplier(reactor.core.scheduler.Schedulers::isInNonBlockingThread);
    }

    private static Mono<String> digest(Flux<DataBuffer> body) {
        MessageDigest hash;
        try {
            hash = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            return Mono.error(e);
        }
        return body.map(buffer -> {
            byte[] bytes = new byte[buffer.readableByteCount()];
            buffer.read(bytes);
            DataBufferUtils.release(buffer);
            hash.update(bytes);
            return (long) bytes.length;
        }).reduce(0L, Long::sum).map(size -> size + ":" + new String(HexFormat.of().formatHex(hash.digest()).getBytes(StandardCharsets.US_ASCII), StandardCharsets.US_ASCII));
    }
}
