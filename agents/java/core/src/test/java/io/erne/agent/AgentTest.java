package io.erne.agent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AgentTest {
    @TempDir
    Path directory;

    private static Transaction request(String target) {
        return new Transaction(Agent.newId(), TraceContext.of(null), "GET", target, "1.1", List.of(Map.entry("Host", "x")), "192.0.2.1", "http");
    }

    private static List<String> agentThreads() {
        return Thread.getAllStackTraces().keySet().stream().map(Thread::getName).filter(n -> n.startsWith("erne-agent-")).toList();
    }

    @Test
    void itDecidesGreetsAndLeavesNoThread() throws Exception {
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"protection\"")) {
            AgentSettings settings = gateway.settings(directory);
            settings.application = "shop";
            Agent agent = Agent.start(settings);
            assertEquals(Mode.PROTECTION, agent.profile().mode);
            assertTrue(agent.decide(request("/?q=%3Cscript"), agent.profile()).blocked());
            assertFalse(agent.decide(request("/"), agent.profile()).blocked());
            assertTrue(agent.decideAsync(request("/?q=%3Cscript"), agent.profile()).get().blocked());
            Map<String, Object> hello = gateway.hellos.get(0);
            assertEquals("shop", hello.get("application"));
            assertEquals(ProcessHandle.current().pid(), ((Map<?, ?>) hello.get("host")).get("pid"));
            StandInGateway.await("a heartbeat with counters", () -> gateway.hellos.stream().anyMatch(h -> h.get("counters").toString().contains("blocked=2")));
            agent.close();
            assertEquals(List.of(), agentThreads());
            assertFalse(agent.decide(request("/?q=%3Cscript"), agent.profile()).blocked(), "after the end it fails as the profile says, and does not throw");
        }
    }

    /** A hundred transactions for a queue of ten while the gateway sleeps: nobody waits, what finds no room is counted. */
    @Test
    void monitorModeNeverWaits() throws Exception {
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"monitor\"")) {
            gateway.delayMs = 60_000;
            AgentSettings settings = gateway.settings(directory);
            settings.queueItemsMax = 10;
            try (Agent agent = Agent.start(settings)) {
                long begin = System.nanoTime();
                for (int i = 0; i < 100; i++) {
                    agent.observe(request("/" + i), agent.profile(), Mode.MONITOR);
                }
                assertTrue(System.nanoTime() - begin < 8_000_000_000L, "it does not wait");
                assertTrue(agent.counters().dropped.sum() >= 85, String.valueOf(agent.counters().dropped.sum()));
                gateway.delayMs = 0;
                StandInGateway.await("those in the queue are inspected", () -> gateway.inspected.size() + agent.counters().dropped.sum() == 100);
            }
        }
    }

    @Test
    void aWrongSecretIsToldAndHarmless() throws Exception {
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"protection\"")) {
            AgentSettings settings = gateway.settings(directory);
            settings.secret = "wrong";
            settings.mode = Mode.PROTECTION;
            settings.startWaitMs = 10;
            try (Agent agent = Agent.start(settings)) {
                assertFalse(agent.decide(request("/?q=%3Cscript"), agent.profile()).blocked());
                assertTrue(agent.counters().errors.sum() > 0);
            }
        }
    }

    @Test
    void aDirectoryThatCannotBeWrittenIsNoReasonToFail() throws Exception {
        Path file = Files.writeString(directory.resolve("file"), "");
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"protection\""); Agent agent = Agent.start(gateway.settings(file.resolve("below")))) {
            assertTrue(agent.decide(request("/?q=%3Cscript"), agent.profile()).blocked());
            assertTrue(agent.counters().errors.sum() > 0);
        }
    }

    @Test
    void aDisasterOfAnAnswerIsNoVerdict() throws Exception {
        ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1);
        for (String answer : new String[] {"", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\n" + "x".repeat(100_000)}) {
            try (ServerSocket server = server(answer, 0); GatewayConnections connections = connections(server, timer)) {
                assertThrows(IOException.class, () -> connections.exchange("GET", "/", new byte[0], Map::of, 2_000), answer);
            }
        }
        // One byte every 50 ms never ends within the time, though each read does.
        try (ServerSocket server = server("HTTP/1.1 200 OK\r\nX: " + "y".repeat(2_000), 50); GatewayConnections connections = connections(server, timer)) {
            long begin = System.nanoTime();
            assertThrows(SocketTimeoutException.class, () -> connections.exchange("GET", "/", new byte[0], Map::of, 300));
            assertTrue(System.nanoTime() - begin < 1_500_000_000L);
        }
        // A gateway that accepts and reads nothing, and a request larger than any buffer.
        try (ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress()); GatewayConnections connections = connections(server, timer)) {
            long begin = System.nanoTime();
            assertThrows(SocketTimeoutException.class, () -> connections.exchange("POST", "/", new byte[30_000_000], Map::of, 300));
            assertTrue(System.nanoTime() - begin < 1_500_000_000L);
        }
        try (ServerSocket server = server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\n", 0); GatewayConnections connections = connections(server, timer)) {
            assertEquals("abcd", connections.exchange("GET", "/", new byte[0], Map::of, 2_000).text());
        }
        timer.shutdownNow();
    }

    private static GatewayConnections connections(ServerSocket server, ScheduledThreadPoolExecutor timer) {
        return new GatewayConnections(URI.create("http://127.0.0.1:" + server.getLocalPort()), null, timer);
    }

    /** Answers each connection with {@code answer}, one byte every {@code pauseMs} if that is not 0, and closes it. */
    private static ServerSocket server(String answer, int pauseMs) throws IOException {
        ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        Thread thread = new Thread(() -> {
            while (!server.isClosed()) {
                try (Socket socket = server.accept()) {
                    InputStream in = socket.getInputStream();
                    for (int newlines = 0, c; newlines < 2 && (c = in.read()) >= 0; ) {
                        newlines = c == '\n' ? newlines + 1 : c == '\r' ? newlines : 0;
                    }
                    byte[] bytes = answer.getBytes(StandardCharsets.ISO_8859_1);
                    for (int i = 0; i < bytes.length; i += pauseMs == 0 ? bytes.length : 1) {
                        socket.getOutputStream().write(bytes, i, pauseMs == 0 ? bytes.length : 1);
                        Thread.sleep(pauseMs);
                    }
                } catch (IOException | InterruptedException e) {
                    // The client went.
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
        return server;
    }

    /** Two agents of one host that were given the same directory. */
    @Test
    void storesThatShareADirectoryKeepApartAndInherit() throws Exception {
        Counters counters = new Counters();
        EventStore first = new EventStore(directory, 1, counters);
        EventStore second = new EventStore(directory, 1, counters);
        first.add("{\"a\":1}");
        second.add("{\"b\":1}");
        List<String> sent = new ArrayList<>();
        EventStore.Sender sender = (items, key, timeout) -> sent.add(new String(items, StandardCharsets.UTF_8));
        first.forward(sender);
        assertEquals(List.of("{\"items\":[{\"a\":1}]}"), sent);
        second.close();
        first.close();
        EventStore third = new EventStore(directory, 1, counters);
        third.forward(sender);
        assertEquals("{\"items\":[{\"b\":1}]}", sent.get(1), "what a process left that is gone");
        third.close();
    }

    @Test
    void theStoreIsBoundedAndEachBatchHasOneKey() throws Exception {
        Counters counters = new Counters();
        Path events = directory.resolve("events-0");
        EventStore store = new EventStore(directory, 8L << 20, counters);
        String line = "{\"x\":\"" + "y".repeat(10_000) + "\"}";
        for (int i = 0; i < 2_000; i++) {
            store.add(line);
        }
        long bytes = 0;
        try (var files = Files.list(events)) {
            for (Path file : files.toList()) {
                bytes += Files.size(file);
            }
        }
        assertTrue(bytes <= 8L << 20, bytes + " bytes");
        List<String> keys = new ArrayList<>();
        assertThrows(IOException.class, () -> store.forward((items, key, timeout) -> {
            keys.add(key);
            if (keys.size() == 2) {
                throw new IOException("gone");
            }
        }));
        List<String> again = new ArrayList<>();
        int[] sent = new int[1];
        store.forward((items, key, timeout) -> {
            again.add(key);
            sent[0] += new String(items, StandardCharsets.UTF_8).split("\"x\"", -1).length - 1;
        });
        assertTrue(again.contains(keys.get(1)), "what was refused comes again with its key");
        assertEquals(2_000, sent[0] + counters.dropped.sum() + (again.contains(keys.get(0)) ? 0 : (2_000 - sent[0] - counters.dropped.sum())));
        assertEquals(again.size(), again.stream().distinct().count());
        // A batch that is refused for good does not hold up the next.
        store.add("{\"bad\":1}");
        store.forward((items, key, timeout) -> {
            throw new GatewayClient.Refused(422, "no");
        });
        store.forward((items, key, timeout) -> {
            throw new AssertionError("nothing is left");
        });
        store.close();
    }
}
