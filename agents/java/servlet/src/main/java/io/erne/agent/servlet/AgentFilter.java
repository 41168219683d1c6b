package io.erne.agent.servlet;

import io.erne.agent.Agent;
import io.erne.agent.AgentSettings;
import io.erne.agent.BlockPage;
import io.erne.agent.ClientAddress;
import io.erne.agent.Decision;
import io.erne.agent.Mode;
import io.erne.agent.Profile;
import io.erne.agent.TraceContext;
import io.erne.agent.Transaction;
import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Has each request inspected as the profile says. It should be the first filter, before anything that reads bodies.
 *
 * <p>Exceptions of the application pass through as they are. An error of the agent's own is counted, and the request
 * goes on as if there were no agent.
 */
public final class AgentFilter implements Filter {
    /** Request attribute: the trace this request belongs to. */
    public static final String TRACE_ATTRIBUTE = "io.erne.agent.trace_id";
    /** Tomcat's default for form bodies. */
    public static final long FORM_BYTES_MAX = 2 << 20;
    private static final int HEADERS_MAX = 500;
    private static final String PATTERN_ATTRIBUTE = "org.springframework.web.servlet.HandlerMapping.bestMatchingPattern";

    private Agent agent;
    private MultipartLimits limits;
    private long formBytesMax = FORM_BYTES_MAX;
    private boolean owner;

    /** For {@code web.xml}: settings come from init parameters, system properties and the environment. */
    public AgentFilter() {
        limits = MultipartLimits.annotated();
    }

    /** For containers of beans, which close the agent themselves. */
    public AgentFilter(Agent agent, MultipartLimits limits, long formBytesMax) {
        this.agent = agent;
        this.limits = limits;
        this.formBytesMax = formBytesMax;
    }

    @Override
    public void init(FilterConfig config) {
        if (agent != null) {
            return;
        }
        String multipart = config.getInitParameter("multipart-bytes-max");
        if (multipart != null) {
            MultipartConfigElement element = new MultipartConfigElement("", Long.parseLong(multipart), Long.parseLong(multipart), 0);
            limits = request -> element;
        }
        AgentSettings settings = AgentSettings.from(name -> {
            String given = config.getInitParameter(name);
            String property = given != null ? given : System.getProperty("erne.agent." + name);
            return property != null ? property : System.getenv("ERNE_AGENT_" + name.toUpperCase(Locale.ROOT).replace('-', '_'));
        });
        if (settings.complete()) {
            agent = Agent.start(settings);
            owner = true;
        } else {
            System.getLogger("io.erne.agent").log(System.Logger.Level.WARNING, "Erne agent is off: set erne.agent.gateway, erne.agent.id and erne.agent.secret");
        }
    }

    @Override
    public void destroy() {
        if (owner) {
            agent.close();
        }
    }

    /** What the agent knows of one request. */
    private static final class Seen {
        Profile profile;
        Mode mode = Mode.OFF;
        Transaction transaction;
        Decision decision = Decision.ALLOW;
        InspectedRequest wrapped;
        boolean filesCut;
        final AtomicBoolean finished = new AtomicBoolean();
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain) throws IOException, ServletException {
        if (agent == null || !(request instanceof HttpServletRequest http) || !(response instanceof HttpServletResponse answer)
            || request.getDispatcherType() != DispatcherType.REQUEST) {
            chain.doFilter(request, response);
            return;
        }
        Seen seen = new Seen();
        try {
            look(http, seen);
        } catch (IOException | RuntimeException | StackOverflowError e) {
            agent.failed("internal error: " + e);
        }
        if (seen.decision.blocked()) {
            block(http, answer, seen);
            return;
        }
        HeaderedResponse headered = seen.mode == Mode.OFF || seen.profile.secureHeaders.isEmpty() ? null : new HeaderedResponse(answer, seen.profile.secureHeaders);
        try {
            chain.doFilter(seen.wrapped == null ? request : seen.wrapped, headered == null ? response : headered);
        } finally {
            after(http, headered, seen);
        }
    }

    private void look(HttpServletRequest request, Seen seen) throws IOException {
        seen.profile = agent.profile();
        seen.mode = seen.profile.modeFor(request.getRequestURI());
        if (seen.mode == Mode.OFF) {
            return;
        }
        seen.transaction = transaction(request, seen.profile);
        request.setAttribute(TRACE_ATTRIBUTE, seen.transaction.trace.traceId());
        seen.decision = agent.admit(seen.transaction, seen.profile, seen.mode);
        if (seen.decision.blocked()) {
            return;
        }
        if (hasBody(request) && seen.profile.bodyMax > 0) {
            seen.wrapped = new InspectedRequest(request, seen.profile.bodyMax, limits, formBytesMax);
        }
        if (seen.mode == Mode.PROTECTION) {
            if (seen.wrapped != null) {
                seen.wrapped.body().readAhead(seen.profile.bodyMax, request.getContentLengthLong());
                describeBody(request, seen);
                seen.filesCut = seen.wrapped.body().uploadsCut();
            }
            seen.decision = agent.decide(seen.transaction, seen.profile);
        }
    }

    /** Whether there is a body that may be read before the handler: not of upgrades and of two-way streams. */
    private static boolean hasBody(HttpServletRequest request) {
        String type = request.getContentType();
        if (request.getContentLengthLong() == 0 || request.getHeader("Upgrade") != null || type != null && type.startsWith("application/grpc")) {
            return false;
        }
        return request.getContentLengthLong() > 0 || request.getHeader("Transfer-Encoding") != null
            || request.getProtocol().startsWith("HTTP/2") && !request.getMethod().equals("GET") && !request.getMethod().equals("HEAD");
    }

    private static Transaction transaction(HttpServletRequest request, Profile profile) {
        List<Map.Entry<String, String>> headers = new ArrayList<>();
        for (Enumeration<String> names = request.getHeaderNames(); names != null && names.hasMoreElements() && headers.size() < HEADERS_MAX; ) {
            String name = names.nextElement();
            for (Enumeration<String> values = request.getHeaders(name); values.hasMoreElements() && headers.size() < HEADERS_MAX; ) {
                headers.add(Map.entry(name, values.nextElement()));
            }
        }
        String client = ClientAddress.of(request.getRemoteAddr(), Collections.list(request.getHeaders("X-Forwarded-For")), profile.trustedProxies);
        String query = request.getQueryString();
        String version = request.getProtocol().startsWith("HTTP/") ? request.getProtocol().substring(5) : request.getProtocol();
        return new Transaction(Agent.newId(), TraceContext.of(request.getHeader("traceparent")), request.getMethod(),
            query == null ? request.getRequestURI() : request.getRequestURI() + "?" + query, version, headers, client, request.getScheme());
    }

    private static void describeBody(HttpServletRequest request, Seen seen) {
        BodyStream body = seen.wrapped.body();
        seen.transaction.body(body.seen(), body.cut(request.getContentLengthLong()), body.uploads());
    }

    private void block(HttpServletRequest request, HttpServletResponse response, Seen seen) throws IOException {
        BlockPage page = BlockPage.of(seen.profile, seen.decision, request.getHeader("Accept"));
        response.setStatus(page.status());
        response.setContentType(page.contentType());
        response.setContentLength(page.body().length);
        response.setHeader("Cache-Control", "no-store");
        if (page.status() == 429 || page.status() == 503) {
            response.setHeader("Retry-After", page.status() == 429 ? String.valueOf(seen.profile.ratePerSecs) : "5");
        }
        HeaderedResponse.add(response, seen.profile.secureHeaders);
        if (!request.getMethod().equals("HEAD")) {
            response.getOutputStream().write(page.body());
        }
        response.flushBuffer();
    }

    /** Runs while an exception of the application may be on its way: nothing here may throw. */
    private void after(HttpServletRequest request, HeaderedResponse headered, Seen seen) {
        try {
            if (request.isAsyncStarted()) {
                request.getAsyncContext().addListener(new OnCompletion(() -> finish(request, seen)));
                return;
            }
            if (headered != null) {
                headered.beforeCommit();
            }
        } catch (RuntimeException e) {
            // The asynchronous request ended meanwhile.
        }
        finish(request, seen);
    }

    private void finish(HttpServletRequest request, Seen seen) {
        if (seen.transaction == null || !seen.finished.compareAndSet(false, true)) {
            return;
        }
        try {
            if (request.getAttribute(PATTERN_ATTRIBUTE) instanceof String pattern) {
                seen.transaction.route = pattern;
            }
            if (seen.wrapped != null) {
                describeBody(request, seen);
                seen.wrapped.release();
            }
            if (seen.mode == Mode.MONITOR || seen.mode == Mode.LITE) {
                agent.observe(seen.transaction, seen.profile, seen.mode);
            } else if (seen.filesCut && !seen.wrapped.body().uploadsCut()) {
                agent.uploaded(seen.transaction, seen.mode);
            }
        } catch (RuntimeException e) {
            agent.failed("internal error: " + e);
        }
    }

    private record OnCompletion(Runnable task) implements AsyncListener {
        @Override
        public void onComplete(AsyncEvent event) {
            task.run();
        }

        @Override
        public void onTimeout(AsyncEvent event) {
            // Completion follows.
        }

        @Override
        public void onError(AsyncEvent event) {
            // Completion follows.
        }

        /** A dispatch began a new cycle, which drops listeners. */
        @Override
        public void onStartAsync(AsyncEvent event) {
            event.getAsyncContext().addListener(this);
        }
    }
}
