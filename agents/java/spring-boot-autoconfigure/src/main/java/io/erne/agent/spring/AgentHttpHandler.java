package io.erne.agent.spring;

import io.erne.agent.Agent;
import io.erne.agent.BlockPage;
import io.erne.agent.ClientAddress;
import io.erne.agent.Decision;
import io.erne.agent.Mode;
import io.erne.agent.Profile;
import io.erne.agent.TraceContext;
import io.erne.agent.Transaction;
import java.io.File;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.reactivestreams.Publisher;
import org.springframework.core.io.buffer.DataBuffer;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpMethod;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.ZeroCopyHttpOutputMessage;
import org.springframework.http.server.reactive.HttpHandler;
import org.springframework.http.server.reactive.ServerHttpRequest;
import org.springframework.http.server.reactive.ServerHttpRequestDecorator;
import org.springframework.http.server.reactive.ServerHttpResponse;
import org.springframework.http.server.reactive.ServerHttpResponseDecorator;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/**
 * The agent before a WebFlux application: around its {@link HttpHandler} and not as a {@code WebFilter}, since an
 * exchange reads form data and parts from the request it was made with, which a filter can no longer replace.
 *
 * <p>No thread of the server waits: the verdict is asked for on threads of the agent.
 */
final class AgentHttpHandler implements HttpHandler {
    private static final int HEADERS_MAX = 500;

    private final Agent agent;
    private final HttpHandler handler;

    AgentHttpHandler(Agent agent, HttpHandler handler) {
        this.agent = agent;
        this.handler = handler;
    }

    /** What the agent knows of one request. */
    private static final class Seen {
        Profile profile;
        Mode mode = Mode.OFF;
        Transaction transaction;
        Decision decision = Decision.ALLOW;
        AheadBody.SeenBytes bytes;
        AheadBody body;
        long length = -1;
        boolean filesCut;
        final AtomicBoolean finished = new AtomicBoolean();
    }

    @Override
    public Mono<Void> handle(ServerHttpRequest request, ServerHttpResponse response) {
        Seen seen = new Seen();
        try {
            look(request, seen);
        } catch (RuntimeException e) {
            agent.failed("internal error: " + e);
            return handler.handle(request, response);
        }
        if (seen.mode == Mode.OFF) {
            return handler.handle(request, response);
        }
        if (seen.decision.blocked()) {
            return block(request, response, seen);
        }
        ServerHttpResponse answer = headered(response, seen.profile.secureHeaders);
        if (seen.mode != Mode.PROTECTION) {
            return handler.handle(seen.bytes == null ? request : watched(request, seen), answer).doFinally(signal -> finish(seen));
        }
        Mono<Void> ahead = seen.body == null ? Mono.empty() : seen.body.readAhead();
        return ahead.then(Mono.defer(() -> verdict(seen)))
            .publishOn(Schedulers.parallel())
            .flatMap(decision -> {
                seen.decision = decision;
                return decision.blocked() ? block(request, response, seen) : handler.handle(seen.body == null ? request : replayed(request, seen), answer);
            })
            .doFinally(signal -> finish(seen));
    }

    private Mono<Decision> verdict(Seen seen) {
        try {
            if (seen.body != null) {
                describeBody(seen);
                seen.filesCut = seen.bytes.uploadsCut();
            }
            return Mono.fromFuture(agent.decideAsync(seen.transaction, seen.profile));
        } catch (RuntimeException e) {
            agent.failed("internal error: " + e);
            return Mono.just(Decision.ALLOW);
        }
    }

    private void look(ServerHttpRequest request, Seen seen) {
        seen.profile = agent.profile();
        seen.mode = seen.profile.modeFor(request.getURI().getRawPath());
        if (seen.mode == Mode.OFF) {
            return;
        }
        seen.transaction = transaction(request, seen.profile);
        seen.decision = agent.admit(seen.transaction, seen.profile, seen.mode);
        seen.length = request.getHeaders().getContentLength();
        if (seen.decision.blocked() || !hasBody(request, seen.length) || seen.profile.bodyMax == 0) {
            return;
        }
        seen.bytes = new AheadBody.SeenBytes(seen.profile.bodyMax, request.getHeaders().getFirst(HttpHeaders.CONTENT_TYPE));
        if (seen.mode == Mode.PROTECTION) {
            seen.body = new AheadBody(request.getBody(), seen.profile.bodyMax, seen.bytes);
        }
    }

    private static boolean hasBody(ServerHttpRequest request, long length) {
        HttpHeaders headers = request.getHeaders();
        String type = headers.getFirst(HttpHeaders.CONTENT_TYPE);
        if (length == 0 || headers.getFirst(HttpHeaders.UPGRADE) != null || type != null && type.startsWith("application/grpc")) {
            return false;
        }
        HttpMethod method = request.getMethod();
        return length > 0 || headers.getFirst(HttpHeaders.TRANSFER_ENCODING) != null || method != HttpMethod.GET && method != HttpMethod.HEAD && type != null;
    }

    private static Transaction transaction(ServerHttpRequest request, Profile profile) {
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        request.getHeaders().forEach((name, values) -> {
            for (String value : values) {
                if (headers.size() < HEADERS_MAX) {
                    headers.add(Map.entry(name, value == null ? "" : value));
                }
            }
        });
        InetSocketAddress remote = request.getRemoteAddress();
        String peer = remote == null || remote.getAddress() == null ? "" : remote.getAddress().getHostAddress();
        List<String> forwarded = request.getHeaders().getOrEmpty("X-Forwarded-For");
        String path = request.getURI().getRawPath();
        String query = request.getURI().getRawQuery();
        String scheme = request.getURI().getScheme();
        return new Transaction(Agent.newId(), TraceContext.of(request.getHeaders().getFirst("traceparent")), request.getMethod().name(),
            query == null ? path : path + "?" + query, "1.1", headers, ClientAddress.of(peer, forwarded, profile.trustedProxies), scheme == null ? "http" : scheme);
    }

    private static void describeBody(Seen seen) {
        seen.transaction.body(seen.bytes.bytes(), seen.bytes.cut(seen.length), seen.bytes.uploads());
    }

    private static ServerHttpRequest replayed(ServerHttpRequest request, Seen seen) {
        return new ServerHttpRequestDecorator(request) {
            @Override
            public Flux<DataBuffer> getBody() {
                return seen.body.flux();
            }
        };
    }

    private ServerHttpRequest watched(ServerHttpRequest request, Seen seen) {
        return new ServerHttpRequestDecorator(request) {
            @Override
            public Flux<DataBuffer> getBody() {
                return super.getBody().doOnNext(buffer -> {
                    try {
                        seen.bytes.note(buffer);
                    } catch (RuntimeException e) {
                        agent.failed("internal error: " + e);
                    }
                }).doOnComplete(seen.bytes::end);
            }
        };
    }

    private Mono<Void> block(ServerHttpRequest request, ServerHttpResponse response, Seen seen) {
        BlockPage page = BlockPage.of(seen.profile, seen.decision, request.getHeaders().getFirst(HttpHeaders.ACCEPT));
        response.setStatusCode(HttpStatusCode.valueOf(page.status()));
        HttpHeaders headers = response.getHeaders();
        headers.set(HttpHeaders.CONTENT_TYPE, page.contentType());
        headers.setContentLength(page.body().length);
        headers.set(HttpHeaders.CACHE_CONTROL, "no-store");
        if (page.status() == 429 || page.status() == 503) {
            headers.set(HttpHeaders.RETRY_AFTER, page.status() == 429 ? String.valueOf(seen.profile.ratePerSecs) : "5");
        }
        addMissing(headers, seen.profile.secureHeaders);
        return request.getMethod() == HttpMethod.HEAD ? response.setComplete() : response.writeWith(Mono.fromSupplier(() -> response.bufferFactory().wrap(page.body())));
    }

    private static void addMissing(HttpHeaders headers, Map<String, String> more) {
        more.forEach((name, value) -> {
            if (!headers.containsKey(name)) {
                headers.set(name, value);
            }
        });
    }

    private static ServerHttpResponse headered(ServerHttpResponse response, Map<String, String> headers) {
        if (headers.isEmpty()) {
            return response;
        }
        return response instanceof ZeroCopyHttpOutputMessage ? new ZeroCopyHeadered(response, headers) : new Headered(response, headers);
    }

    /**
     * Registers the secure headers when the response is about to be written: the application's own actions before the
     * commit, Spring Security's too, have been registered by then and run first.
     */
    private static class Headered extends ServerHttpResponseDecorator {
        private final Map<String, String> headers;
        private final AtomicBoolean registered = new AtomicBoolean();

        Headered(ServerHttpResponse response, Map<String, String> headers) {
            super(response);
            this.headers = headers;
        }

        final void register() {
            if (registered.compareAndSet(false, true)) {
                getDelegate().beforeCommit(() -> Mono.fromRunnable(() -> addMissing(getDelegate().getHeaders(), headers)));
            }
        }

        @Override
        public Mono<Void> writeWith(Publisher<? extends DataBuffer> body) {
            register();
            return super.writeWith(body);
        }

        @Override
        public Mono<Void> writeAndFlushWith(Publisher<? extends Publisher<? extends DataBuffer>> body) {
            register();
            return super.writeAndFlushWith(body);
        }

        @Override
        public Mono<Void> setComplete() {
            register();
            return super.setComplete();
        }
    }

    private static final class ZeroCopyHeadered extends Headered implements ZeroCopyHttpOutputMessage {
        ZeroCopyHeadered(ServerHttpResponse response, Map<String, String> headers) {
            super(response, headers);
        }

        @Override
        public Mono<Void> writeWith(File file, long position, long count) {
            register();
            return ((ZeroCopyHttpOutputMessage) getDelegate()).writeWith(file, position, count);
        }

        @Override
        public Mono<Void> writeWith(Path file, long position, long count) {
            register();
            return ((ZeroCopyHttpOutputMessage) getDelegate()).writeWith(file, position, count);
        }
    }

    private void finish(Seen seen) {
        if (!seen.finished.compareAndSet(false, true)) {
            return;
        }
        try {
            if (seen.body != null) {
                seen.body.release();
            }
            if (seen.bytes != null) {
                describeBody(seen);
            }
            if (seen.mode == Mode.MONITOR || seen.mode == Mode.LITE) {
                agent.observe(seen.transaction, seen.profile, seen.mode);
            } else if (seen.filesCut && !seen.decision.blocked() && !seen.bytes.uploadsCut()) {
                agent.uploaded(seen.transaction, seen.mode);
            }
        } catch (RuntimeException e) {
            agent.failed("internal error: " + e);
        }
    }
}
