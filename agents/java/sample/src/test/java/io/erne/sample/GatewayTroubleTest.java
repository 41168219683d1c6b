package io.erne.sample;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.erne.agent.AppProcess;
import io.erne.agent.RawHttp;
import io.erne.agent.RawHttp.Answer;
import io.erne.agent.StandInGateway;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What users of the application notice when the gateway is slow, away, restarted, or has other plans. */
class GatewayTroubleTest {
    private static final String ATTACK = "/search?q=%3Cscript";

    @TempDir
    Path directory;

    private static long millis(int port, String target, int status) throws IOException {
        long begin = System.nanoTime();
        assertEquals(status, RawHttp.get(port, target).status(), target);
        return (System.nanoTime() - begin) / 1_000_000;
    }

    @Test
    void slowDeadAndRestartedGateway() throws IOException {
        String open = "\"mode\":\"protection\",\"fail\":\"open\",\"timeout_ms\":400";
        String closed = "\"mode\":\"protection\",\"fail\":\"closed\",\"timeout_ms\":400";
        try (StandInGateway gateway = new StandInGateway(open); AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory))) {
            int port = app.port();
            StandInGateway.await("attacks are blocked", () -> status(port, ATTACK) == 403);

            // Slow: each of the first five waits for its time limit, then nobody waits any more.
            gateway.delayMs = 8_000;
            for (int i = 0; i < 5; i++) {
                long waited = millis(port, "/search?q=slow" + i, 200);
                assertTrue(waited >= 390 && waited < 6_000, waited + " ms");
            }
            int asked = gateway.inspected.size();
            for (int i = 0; i < 10; i++) {
                millis(port, "/search?q=open" + i, 200);
            }
            assertTrue(gateway.inspected.size() <= asked + 1, "the circuit breaker keeps requests from a gateway that does not answer");

            // Well again: the breaker closes by itself, and what went through unseen has been told.
            gateway.delayMs = 0;
            StandInGateway.await("attacks are blocked again", () -> status(port, ATTACK) == 403);
            StandInGateway.await("what was let through is told", () -> gateway.events.stream().anyMatch(e -> e.toString().contains("q=open3")));

            // Refusing to answer is no verdict either.
            gateway.setProfile(closed);
            StandInGateway.await("the agent has the profile", gateway::delivered);
            gateway.answerStatus = 500;
            Answer refused = RawHttp.get(port, "/search?q=x");
            assertEquals(503, refused.status());
            assertTrue(refused.text().contains("could not be checked"));
            gateway.answerStatus = 200;
            StandInGateway.await("benign requests pass again", () -> status(port, "/search?q=y") == 200);

            // Dead, failing closed; then the same port again.
            gateway.down();
            assertEquals(503, RawHttp.get(port, "/search?q=x").status());
            gateway.up();
            StandInGateway.await("after the restart", () -> status(port, "/search?q=y") == 200 && status(port, ATTACK) == 403);

            // A restart between two requests costs none of them: the dead connection is noticed and a new one made.
            gateway.setProfile("\"mode\":\"protection\",\"fail\":\"closed\",\"timeout_ms\":10000");
            StandInGateway.await("the agent has the profile", gateway::delivered);
            for (int round = 0; round < 5; round++) {
                assertEquals(200, status(port, "/search?q=r" + round));
                gateway.down();
                gateway.up();
                assertEquals(200, status(port, "/search?q=s" + round), "round " + round);
                assertEquals(403, status(port, ATTACK), "round " + round);
            }
            gateway.setProfile("\"mode\":\"off\"");
            StandInGateway.await("a profile of the restarted gateway", () -> status(port, ATTACK) == 200);
            assertTrue(gateway.hellos.size() > 2, "it beats");
        }
    }

    @Test
    void withoutAGatewayTheStoredProfileHolds() throws IOException {
        StandInGateway gateway = new StandInGateway("\"mode\":\"protection\",\"fail\":\"closed\",\"bans\":[{\"cidr\":\"127.0.0.0/8\"}]");
        try (AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory))) {
            assertEquals(403, RawHttp.get(app.port(), "/search").status());
        }
        gateway.down();
        try (AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory))) {
            assertEquals(403, RawHttp.get(app.port(), "/search").status(), "from the cache");
        }
        // A file that somebody changed is not believed, and no reason not to start.
        Path file = directory.resolve("profile.json");
        Files.writeString(file, Files.readString(file).replace("closed", "open"));
        try (AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory, "--erne.agent.start-wait=0s", "--erne.agent.mode=protection"))) {
            for (int i = 0; i < 20; i++) {
                assertTrue(millis(app.port(), ATTACK, 200) < 5_000, "the mode configured for the start, which fails open");
            }
            gateway.up();
            StandInGateway.await("the profile comes when the gateway does", () -> status(app.port(), "/search") == 403);
            StandInGateway.await("the file is whole again", () -> size(file) > 65);
        }
        gateway.down();
    }

    @Test
    void liteStoresAndForwardsOverARestart() throws Exception {
        StandInGateway gateway = new StandInGateway("\"mode\":\"lite\"");
        int count = 40;
        try (AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory, "--erne.agent.forward-every=1h"))) {
            for (int i = 0; i < count; i++) {
                assertEquals(200, RawHttp.post(app.port(), "/form?lite=" + i, "application/x-www-form-urlencoded", RawHttp.bytes("a=1&password=hush")).status());
            }
            gateway.down();
            assertTrue(app.stop());
        }
        assertEquals(0, gateway.events.size());
        List<Path> stored;
        try (var files = Files.list(directory.resolve("events-0"))) {
            stored = files.filter(f -> f.toString().endsWith(".jsonl")).toList();
        }
        assertEquals(1, stored.size());
        String text = Files.readString(stored.get(0));
        assertEquals(count, text.lines().count());
        assertTrue(!text.contains("hush") && text.contains("body_b64"));
        // A crash tore off the last line.
        Files.writeString(stored.get(0), text + "{\"time\":\"20");
        gateway.up();
        try (AppProcess app = AppProcess.launch(SampleMvcTest.MAIN, AppProcess.agent(gateway, directory))) {
            app.port();
            StandInGateway.await("all are forwarded", () -> gateway.events.size() >= count);
            assertEquals(count, gateway.events.size());
            assertEquals(count, gateway.events.stream().map(e -> ((java.util.Map<?, ?>) e.get("transaction")).get("uri")).distinct().count());
        }
        gateway.down();
    }

    private static int status(int port, String target) {
        try {
            return RawHttp.get(port, target).status();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static long size(Path file) {
        try {
            return Files.readString(file).contains("closed") ? Files.size(file) : 0;
        } catch (IOException e) {
            return 0;
        }
    }
}
