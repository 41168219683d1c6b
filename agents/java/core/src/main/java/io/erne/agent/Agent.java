package io.erne.agent;

import java.io.IOException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The agent of one application: keeps the profile up to date, decides about requests, sends what is to be sent.
 *
 * <p>No method that a request calls throws or waits longer than the profile's {@code timeout_ms}; what goes wrong is
 * counted and logged once a minute. {@link #close} ends every thread.
 */
public final class Agent implements AutoCloseable {
    public static final String VERSION = "0.1.0";
    static final int POLL_WAIT_SECS = 50;
    static final long RETRY_MS_MIN = 1_000;
    static final long RETRY_MS_MAX = 30_000;
    static final long CALL_MS_MAX = 10_000;
    private static final int SENDERS = 2;
    /** Verdicts asked for at once on behalf of callers that must not block. */
    private static final int WORKERS_MAX = 16;
    private static final int WAITING_MAX = 512;
    private static final long LOG_SECS = 60;
    private static final long CLOSE_MS_MAX = 3_000;
    private static final Logger LOG = System.getLogger("io.erne.agent");

    private record Queued(Transaction transaction, Profile profile, Mode mode, int weight) {}

    private record State(Profile profile, Redactor redactor) {}

    private final AgentSettings settings;
    private final Counters counters = new Counters();
    private final CircuitBreaker breaker = new CircuitBreaker();
    private final RateLimiter rates = new RateLimiter();
    private final RateLimiter reports = new RateLimiter();
    private final GatewayClient client;
    private final ProfileCache cache;
    private final EventStore store;
    private final BlockingQueue<Queued> queue;
    private final AtomicLong queueBytes = new AtomicLong();
    private final ScheduledThreadPoolExecutor timer;
    private final ThreadPoolExecutor workers;
    private final List<Thread> threads = new ArrayList<>();
    private final CountDownLatch firstProfile = new CountDownLatch(1);
    private final CountDownLatch stopped = new CountDownLatch(1);
    private volatile State state;
    private volatile int heartbeatSecs = 30;
    private volatile long greetedNanos = System.nanoTime();
    private volatile boolean closed;
    private volatile String lastError = "";
    private long errorsLogged;
    private long droppedLogged;

    private Agent(AgentSettings settings) {
        if (!settings.complete()) {
            throw new IllegalArgumentException("erne.agent.gateway, erne.agent.id and erne.agent.secret must be set");
        }
        this.settings = settings;
        Signer signer = new Signer(settings.id, settings.secret);
        timer = new ScheduledThreadPoolExecutor(1, named("timer"));
        timer.setRemoveOnCancelPolicy(true);
        client = new GatewayClient(settings.gateway, settings.id, settings.secret, settings.tls, timer);
        workers = new ThreadPoolExecutor(WORKERS_MAX, WORKERS_MAX, 30, TimeUnit.SECONDS, new ArrayBlockingQueue<>(WAITING_MAX), named("worker"));
        workers.allowCoreThreadTimeOut(true);
        queue = new ArrayBlockingQueue<>(Math.max(1, settings.queueItemsMax));
        adopt(Profile.initial(settings.mode));
        Path directory = directory();
        cache = directory == null ? null : new ProfileCache(directory, signer);
        store = directory == null ? null : openStore(directory);
        readCache();
    }

    /** Starts the threads and waits for the first profile as long as the settings say. */
    public static Agent start(AgentSettings settings) {
        Agent agent = new Agent(settings);
        agent.run("profile", agent::followProfile);
        agent.run("upkeep", agent::upkeep);
        for (int i = 0; i < SENDERS; i++) {
            agent.run("sender-" + i, agent::sendQueued);
        }
        agent.timer.scheduleAtFixedRate(agent::log, LOG_SECS, LOG_SECS, TimeUnit.SECONDS);
        if (agent.profile().version == 0 && settings.startWaitMs > 0) {
            try {
                agent.firstProfile.await(settings.startWaitMs, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        LOG.log(Level.INFO, "Erne agent {0}: mode {1}, profile version {2}, gateway {3}", VERSION, agent.profile().mode.text(), agent.profile().version, settings.gateway);
        return agent;
    }

    private static ThreadFactory named(String name) {
        return task -> {
            Thread thread = new Thread(task, "erne-agent-" + name);
            thread.setDaemon(true);
            return thread;
        };
    }

    private void run(String name, Runnable task) {
        Thread thread = named(name).newThread(task);
        threads.add(thread);
        thread.start();
    }

    private Path directory() {
        Path directory = settings.directory();
        try {
            boolean fresh = !Files.exists(directory);
            Files.createDirectories(directory);
            if (fresh && Files.getFileStore(directory).supportsFileAttributeView("posix")) {
                Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
            }
            return directory;
        } catch (IOException | RuntimeException e) {
            failed("the agent goes on without " + directory + ": " + e);
            return null;
        }
    }

    private EventStore openStore(Path directory) {
        try {
            return new EventStore(directory, settings.storeBytesMax, counters);
        } catch (IOException | RuntimeException e) {
            failed("the agent goes on without a store: " + e);
            return null;
        }
    }

    private void readCache() {
        if (cache == null) {
            return;
        }
        try {
            String json = cache.read();
            if (json != null) {
                adopt(Profile.parse(json, settings.mode));
            }
        } catch (IOException | RuntimeException e) {
            failed("the stored profile is not used: " + e.getMessage());
        }
    }

    private void adopt(Profile profile) {
        state = new State(profile, new Redactor(profile.redact));
    }

    public Profile profile() {
        return state.profile;
    }

    public Counters counters() {
        return counters;
    }

    /** Notes an error that the application must not see. */
    public void failed(String why) {
        counters.errors.increment();
        lastError = why;
    }

    /** A name for a request, by which a blocked sender can ask about it. */
    public static String newId() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        return String.format("%016x%08x", random.nextLong(), random.nextInt());
    }

    /** Bans and the rate limit, which need no verdict: blocks in protection, only counts in monitor mode. */
    public Decision admit(Transaction transaction, Profile profile, Mode mode) {
        counters.requests.increment();
        Address address = Address.parse(transaction.clientIp);
        Profile.Ban ban = profile.ban(address, Instant.now());
        if (ban != null) {
            return refuse(transaction, profile, mode, address, new Decision(true, profile.blockStatus, "banned", transaction.id), "banned " + ban.cidr() + ": " + ban.reason());
        }
        if (!rates.allows(address, profile.rateRequests, profile.ratePerSecs, System.nanoTime())) {
            String why = "more than " + profile.rateRequests + " requests in " + profile.ratePerSecs + " s";
            return refuse(transaction, profile, mode, address, new Decision(true, 429, "rate", transaction.id), why);
        }
        return Decision.ALLOW;
    }

    private Decision refuse(Transaction transaction, Profile profile, Mode mode, Address address, Decision decision, String reason) {
        boolean blocks = mode == Mode.PROTECTION;
        if (blocks) {
            counters.blocked.increment();
        }
        // Whoever is banned may knock thousands of times a second; one line a minute tells it.
        if (reports.allows(address, 1, 60, System.nanoTime())) {
            Map<String, Object> verdict = new LinkedHashMap<>();
            verdict.put("id", transaction.id);
            verdict.put("verdict", "allow");
            verdict.put("action", blocks ? "block" : "allow");
            verdict.put("score", 0);
            verdict.put("banned", decision.why().equals("banned"));
            verdict.put("profile_version", profile.version);
            verdict.put("reasons", List.of(reason));
            later(() -> keep(transaction, mode, verdict, blocks, 0, false));
        }
        return blocks ? decision : Decision.ALLOW;
    }

    private void later(Runnable task) {
        try {
            workers.execute(task);
        } catch (RejectedExecutionException e) {
            counters.dropped.increment();
        }
    }

    /** The verdict in protection mode. Waits up to {@code timeout_ms}; never throws. */
    public Decision decide(Transaction transaction, Profile profile) {
        try {
            return ask(transaction, profile);
        } catch (RuntimeException | StackOverflowError e) {
            failed("internal error: " + e);
            return unavailable(transaction, profile);
        }
    }

    /** The same for callers that must not block; the future is completed on a thread of the agent. */
    public CompletableFuture<Decision> decideAsync(Transaction transaction, Profile profile) {
        CompletableFuture<Decision> future = new CompletableFuture<>();
        try {
            workers.execute(() -> future.complete(decide(transaction, profile)));
        } catch (RejectedExecutionException e) {
            failed("too many requests wait for a verdict");
            future.complete(unavailable(transaction, profile));
        }
        return future;
    }

    private Decision ask(Transaction transaction, Profile profile) {
        if (closed || !breaker.allows(System.nanoTime())) {
            return unavailable(transaction, profile);
        }
        boolean settled = false;
        try {
            byte[] body = Json.write(transaction.redacted(state.redactor, true)).getBytes(StandardCharsets.UTF_8);
            String answer = client.inspect(body, transaction.trace, profile.timeoutMs);
            breaker.success();
            settled = true;
            return decision(Json.object(answer), transaction, profile);
        } catch (GatewayClient.Refused e) {
            // An answer, though not a verdict: unless it is about all requests alike the gateway is well.
            if (!e.passes()) {
                breaker.success();
                settled = true;
            }
            failed(e.getMessage());
            return unavailable(transaction, profile);
        } catch (IOException | Json.JsonException e) {
            failed("the gateway cannot be asked: " + e.getMessage());
            return unavailable(transaction, profile);
        } finally {
            if (!settled) {
                breaker.failure(System.nanoTime());
            }
        }
    }

    private Decision decision(Map<String, Object> verdict, Transaction transaction, Profile profile) {
        if ("attack".equals(verdict.get("verdict"))) {
            counters.attacks.increment();
        }
        if (!"block".equals(verdict.get("action"))) {
            return Decision.ALLOW;
        }
        counters.blocked.increment();
        return new Decision(true, profile.blockStatus, "attack", transaction.id);
    }

    /** No verdict: let through and kept for a later look, or refused. */
    private Decision unavailable(Transaction transaction, Profile profile) {
        if (profile.failOpen) {
            enqueue(transaction, profile, Mode.PROTECTION);
            return Decision.ALLOW;
        }
        counters.blocked.increment();
        return new Decision(true, 503, "unavailable", transaction.id);
    }

    /** Hands a request over to be inspected or stored beside the handler. Never waits. */
    public void observe(Transaction transaction, Profile profile, Mode mode) {
        enqueue(transaction, profile, mode);
    }

    /** Files whose end was seen only after the verdict: told in an event of their own. */
    public void uploaded(Transaction transaction, Mode mode) {
        Map<String, Object> verdict = new LinkedHashMap<>();
        verdict.put("id", transaction.id);
        verdict.put("verdict", "allow");
        verdict.put("action", "allow");
        verdict.put("score", 0);
        verdict.put("reasons", List.of("the uploaded files, read to their end"));
        later(() -> keep(transaction, mode, verdict, false, 0, false));
    }

    private void enqueue(Transaction transaction, Profile profile, Mode mode) {
        int weight = transaction.weight();
        if (closed || queueBytes.get() + weight > settings.queueBytesMax || !queue.offer(new Queued(transaction, profile, mode, weight))) {
            counters.dropped.increment();
            return;
        }
        queueBytes.addAndGet(weight);
    }

    private void sendQueued() {
        while (!closed) {
            try {
                Queued item = queue.take();
                queueBytes.addAndGet(-item.weight);
                send(item);
            } catch (InterruptedException e) {
                // Closed, or an interrupt without meaning here.
            } catch (RuntimeException | StackOverflowError e) {
                failed("internal error: " + e);
            }
        }
    }

    private void send(Queued item) {
        if (item.mode == Mode.MONITOR && !closed && breaker.allows(System.nanoTime())) {
            boolean answered = false;
            try {
                byte[] body = Json.write(item.transaction.redacted(state.redactor, true)).getBytes(StandardCharsets.UTF_8);
                String answer = client.inspect(body, item.transaction.trace, CALL_MS_MAX);
                answered = true;
                if ("attack".equals(Json.object(answer).get("verdict"))) {
                    counters.attacks.increment();
                }
                return;
            } catch (IOException | Json.JsonException e) {
                answered |= e instanceof GatewayClient.Refused refused && !refused.passes();
                failed("the gateway cannot be asked: " + e.getMessage());
                if (answered) {
                    counters.dropped.increment();
                    return;
                }
            } finally {
                if (answered) {
                    breaker.success();
                } else {
                    breaker.failure(System.nanoTime());
                }
            }
        }
        keep(item.transaction, item.mode, null, false, 0, true);
    }

    /** Writes an event to the store; {@code verdict} is null for a request that nobody has inspected yet. */
    private void keep(Transaction transaction, Mode mode, Map<String, Object> verdict, boolean blocked, long latencyUs, boolean withBody) {
        if (store == null) {
            counters.dropped.increment();
            return;
        }
        Map<String, Object> event = new LinkedHashMap<>();
        event.put("time", Instant.ofEpochMilli(transaction.timeMs).toString());
        event.put("transaction", transaction.redacted(state.redactor, withBody));
        if (verdict != null) {
            event.put("verdict", verdict);
        }
        event.put("mode", mode.text());
        event.put("blocked", blocked);
        event.put("latency_us", latencyUs);
        try {
            store.add(Json.write(event));
        } catch (IOException e) {
            counters.dropped.increment();
            failed("an event cannot be stored: " + e);
        }
    }

    private void followProfile() {
        long retryMs = RETRY_MS_MIN;
        boolean greeted = false;
        while (!closed) {
            try {
                if (!greeted) {
                    hello();
                    greeted = true;
                } else {
                    String json = client.profile(profile().version, POLL_WAIT_SECS);
                    if (json != null) {
                        accept(json);
                    }
                }
                retryMs = RETRY_MS_MIN;
            } catch (IOException | Json.JsonException | RuntimeException e) {
                if (closed) {
                    return;
                }
                failed(describe(e));
                pause(retryMs);
                retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
                // A gateway that was away may have been replaced by one that does not know this instance.
                greeted = false;
            }
        }
    }

    private static String describe(Exception e) {
        if (e instanceof GatewayClient.Refused refused && refused.status == 401) {
            return "the gateway refuses the signature: check erne.agent.id, erne.agent.secret and this machine's clock (" + refused.getMessage() + ")";
        }
        return "the gateway does not give a profile: " + e.getMessage();
    }

    private void hello() throws IOException, Json.JsonException {
        Map<String, Object> hello = new LinkedHashMap<>();
        hello.put("agent_version", VERSION);
        hello.put("language", "java");
        hello.put("framework", settings.framework);
        hello.put("application", settings.application);
        hello.put("instance", settings.instance);
        hello.put("host", Host.inventory());
        hello.put("profile_version", profile().version);
        hello.put("counters", counters.json(queue.size()));
        greetedNanos = System.nanoTime();
        Map<String, Object> answer = Json.object(client.hello(Json.write(hello), CALL_MS_MAX));
        if (answer.get("heartbeat_secs") instanceof Number secs) {
            heartbeatSecs = Math.max(1, Math.min(secs.intValue(), 3_600));
        }
        if (answer.get("profile") instanceof Map<?, ?> profile) {
            accept(Json.write(profile));
        }
    }

    private synchronized void accept(String json) {
        Profile profile = Profile.parse(json, settings.mode);
        if (profile.version != profile().version) {
            adopt(profile);
            LOG.log(Level.INFO, "Erne agent: profile version {0}, mode {1}", profile.version, profile.mode.text());
            if (cache != null) {
                try {
                    cache.write(json);
                } catch (IOException e) {
                    failed("the profile cannot be stored: " + e);
                }
            }
        }
        firstProfile.countDown();
    }

    /** Heartbeats, and what is stored goes to the gateway. */
    private void upkeep() {
        while (!closed) {
            pause(Math.min(settings.forwardMs, heartbeatSecs * 1000L));
            if (closed) {
                return;
            }
            try {
                client.reap();
                if (System.nanoTime() - greetedNanos >= heartbeatSecs * 1_000_000_000L) {
                    hello();
                }
                if (store != null) {
                    store.forward(client::events);
                }
            } catch (IOException | Json.JsonException | RuntimeException e) {
                if (!closed) {
                    failed("the gateway takes no events: " + e.getMessage());
                }
            }
        }
    }

    private void pause(long ms) {
        try {
            stopped.await(ms, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            // Only close() interrupts, and the loop sees that.
        }
    }

    private void log() {
        long errors = counters.errors.sum();
        long dropped = counters.dropped.sum();
        if (errors > errorsLogged || dropped > droppedLogged) {
            LOG.log(Level.WARNING, "Erne agent: {0} errors and {1} dropped transactions in the last minute; the last error: {2}",
                errors - errorsLogged, dropped - droppedLogged, lastError);
            errorsLogged = errors;
            droppedLogged = dropped;
        }
    }

    /** Stores what still waits, closes connections and ends all threads. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        stopped.countDown();
        client.close();
        timer.shutdownNow();
        workers.shutdownNow();
        threads.forEach(Thread::interrupt);
        long deadline = System.nanoTime() + CLOSE_MS_MAX * 1_000_000;
        try {
            for (Thread thread : threads) {
                thread.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
            }
            workers.awaitTermination(Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        for (Queued item; (item = queue.poll()) != null; ) {
            keep(item.transaction, item.mode, null, false, 0, true);
        }
        log();
        try {
            if (store != null) {
                store.close();
            }
        } catch (IOException e) {
            LOG.log(Level.WARNING, "Erne agent: the store does not close: {0}", e.toString());
        }
    }
}
