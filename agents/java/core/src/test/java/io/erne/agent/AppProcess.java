package io.erne.agent;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A sample application in a process of its own, on a free port of loopback. */
public final class AppProcess implements AutoCloseable {
    private static final Pattern STARTED = Pattern.compile("(?:Tomcat|Netty) started on port (\\d+)");

    private final Process process;
    private final CompletableFuture<Integer> port = new CompletableFuture<>();
    public final List<String> output = new CopyOnWriteArrayList<>();

    private AppProcess(Process process) {
        this.process = process;
    }

    /** Starts it with this test's class path; does not wait. */
    public static AppProcess launch(String mainClass, String... arguments) throws IOException {
        return launch(List.of("-XX:TieredStopAtLevel=1", "-Dio.netty.leakDetection.level=paranoid"), mainClass, arguments);
    }

    public static AppProcess launch(List<String> options, String mainClass, String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java", "-Xmx256m"));
        command.addAll(options);
        command.addAll(List.of("-cp", System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")), mainClass,
            "--server.port=0", "--server.address=127.0.0.1", "--spring.main.banner-mode=off"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        AppProcess app = new AppProcess(process);
        Thread reader = new Thread(app::read, "app-output");
        reader.setDaemon(true);
        reader.start();
        return app;
    }

    /** Arguments that put the agent in. */
    public static String[] agent(StandInGateway gateway, java.nio.file.Path directory, String... more) {
        List<String> arguments = new ArrayList<>(List.of("--erne.agent.gateway=" + gateway.uri(), "--erne.agent.id=" + StandInGateway.ID,
            "--erne.agent.secret=" + StandInGateway.SECRET, "--erne.agent.data-dir=" + directory));
        arguments.addAll(List.of(more));
        if (arguments.stream().noneMatch(a -> a.startsWith("--erne.agent.forward-every"))) {
            arguments.add("--erne.agent.forward-every=100ms");
        }
        return arguments.toArray(new String[0]);
    }

    private void read() {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line; (line = lines.readLine()) != null; ) {
                output.add(line);
                Matcher m = STARTED.matcher(line);
                if (m.find()) {
                    port.complete(Integer.valueOf(m.group(1)));
                }
            }
        } catch (IOException e) {
            // The process is gone.
        }
        port.completeExceptionally(new IOException("the application ended:\n" + String.join("\n", output)));
    }

    public int port() {
        try {
            return port.get(90, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            throw new AssertionError("the application does not start: " + e + "\n" + String.join("\n", output), e);
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    /** Stops it as an operator does; whether it ended by itself within ten seconds. */
    public boolean stop() {
        process.destroy();
        try {
            return process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    public void kill() {
        process.destroyForcibly();
        try {
            process.waitFor(10, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void close() {
        if (!stop()) {
            kill();
        }
    }
}
