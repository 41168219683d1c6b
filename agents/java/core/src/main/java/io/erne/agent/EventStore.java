package io.erne.agent;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;

/**
 * Events on disk until the gateway has taken them: files of JSON lines, the oldest dropped when room runs out.
 *
 * <p>A batch's idempotency key comes from the file's name and the batch's place in it, so that a batch sent twice,
 * before and after a restart too, counts once. Lines are not synced one by one: a crash of the machine may cost the
 * last seconds, a crash of the process costs nothing.
 */
final class EventStore implements AutoCloseable {
    static final int SEGMENT_BYTES_MAX = 4 << 20;
    static final int BATCH_ITEMS_MAX = 500;
    static final int BATCH_BYTES_MAX = 4 << 20;
    static final int LINE_BYTES_MAX = 6 << 20;
    /** Processes that may share a data directory. */
    static final int FOLDERS_MAX = 32;
    private static final long SEND_MS_MAX = 30_000;
    private static final String SEGMENT = "events-.*\\.jsonl";

    interface Sender {
        void send(byte[] items, String key, long timeoutMs) throws IOException;
    }

    private final Path directory;
    private final FileChannel lock;
    private final long bytesMax;
    private final Counters counters;
    private OutputStream out;
    private Path current;
    private long currentBytes;
    private long sequence;

    /**
     * Opens a store below {@code parent}. Processes that share it get a folder each, held by a file lock; what a process
     * that is gone has left is taken over.
     */
    EventStore(Path parent, long bytesMax, Counters counters) throws IOException {
        this.bytesMax = Math.max(bytesMax, SEGMENT_BYTES_MAX);
        this.counters = counters;
        Path own = null;
        FileChannel held = null;
        for (int i = 0; i < FOLDERS_MAX; i++) {
            Path folder = parent.resolve("events-" + i);
            if (own != null && !Files.isDirectory(folder)) {
                continue;
            }
            Files.createDirectories(folder);
            FileChannel channel = lock(folder);
            if (channel == null) {
                continue;
            }
            if (own == null) {
                own = folder;
                held = channel;
            } else {
                try (channel) {
                    takeOver(folder, own);
                }
            }
        }
        if (own == null) {
            throw new IOException("more than " + FOLDERS_MAX + " processes use " + parent);
        }
        this.directory = own;
        this.lock = held;
    }

    /** Null if another process, or another agent in this one, holds the folder. */
    private static FileChannel lock(Path folder) throws IOException {
        FileChannel channel = FileChannel.open(folder.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            if (channel.tryLock() != null) {
                return channel;
            }
        } catch (OverlappingFileLockException e) {
            // Held within this process.
        }
        channel.close();
        return null;
    }

    private static void takeOver(Path from, Path to) throws IOException {
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(f -> f.getFileName().toString().matches(SEGMENT)).toList()) {
                Files.move(file, to.resolve(file.getFileName()));
            }
        }
    }

    /** Adds one event, which is one line of JSON. */
    synchronized void add(String json) throws IOException {
        byte[] line = (json + "\n").getBytes(StandardCharsets.UTF_8);
        if (line.length > LINE_BYTES_MAX) {
            counters.dropped.increment();
            return;
        }
        if (out != null && currentBytes + line.length > SEGMENT_BYTES_MAX) {
            seal();
        }
        if (out == null) {
            makeRoom();
            current = directory.resolve(String.format(Locale.ROOT, "events-%015d-%06d-%08x.jsonl", System.currentTimeMillis(), sequence++,
                ThreadLocalRandom.current().nextInt()));
            out = Files.newOutputStream(current, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
            currentBytes = 0;
        }
        out.write(line);
        currentBytes += line.length;
    }

    private void makeRoom() throws IOException {
        List<Path> files = segments();
        long bytes = SEGMENT_BYTES_MAX;
        for (Path file : files) {
            bytes += Files.size(file);
        }
        for (Path file : files) {
            if (bytes <= bytesMax) {
                return;
            }
            bytes -= Files.size(file);
            try (Stream<String> lines = Files.lines(file, StandardCharsets.ISO_8859_1)) {
                counters.dropped.add(lines.count());
            }
            Files.deleteIfExists(file);
        }
    }

    private void seal() throws IOException {
        if (out != null) {
            OutputStream done = out;
            out = null;
            current = null;
            done.close();
        }
    }

    private synchronized List<Path> segments() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.filter(f -> f.getFileName().toString().matches(SEGMENT) && !f.equals(current)).sorted().toList();
        }
    }

    private synchronized List<Path> sealed() throws IOException {
        seal();
        return segments();
    }

    /** Sends all that is stored, oldest first; ends at the first error, to go on there next time. */
    void forward(Sender sender) throws IOException {
        for (Path file : sealed()) {
            byte[] bytes;
            synchronized (this) {
                if (!Files.exists(file)) {
                    continue;
                }
                bytes = Files.readAllBytes(file);
            }
            int batch = 0;
            for (List<String> lines : batches(bytes)) {
                send(sender, lines, file.getFileName().toString().replace(".jsonl", "") + "-" + batch++);
            }
            Files.deleteIfExists(file);
        }
    }

    private void send(Sender sender, List<String> lines, String key) throws IOException {
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes("{\"items\":[".getBytes(StandardCharsets.UTF_8));
        body.writeBytes(String.join(",", lines).getBytes(StandardCharsets.UTF_8));
        body.writeBytes("]}".getBytes(StandardCharsets.UTF_8));
        try {
            sender.send(body.toByteArray(), key, SEND_MS_MAX);
        } catch (GatewayClient.Refused e) {
            if (e.passes()) {
                throw e;
            }
            // It will never be taken: what comes behind it must not wait for it.
            counters.dropped.add(lines.size());
            counters.errors.increment();
        }
    }

    /** The same batches every time; a last line that a crash tore off is dropped and counted. */
    private List<List<String>> batches(byte[] bytes) {
        List<List<String>> batches = new ArrayList<>();
        List<String> batch = new ArrayList<>();
        int size = 0;
        int begin = 0;
        for (int i = 0; i < bytes.length; i++) {
            if (bytes[i] != '\n') {
                continue;
            }
            int length = i - begin;
            if (!batch.isEmpty() && (batch.size() >= BATCH_ITEMS_MAX || size + length > BATCH_BYTES_MAX)) {
                batches.add(batch);
                batch = new ArrayList<>();
                size = 0;
            }
            batch.add(new String(bytes, begin, length, StandardCharsets.UTF_8));
            size += length;
            begin = i + 1;
        }
        if (begin < bytes.length) {
            counters.dropped.increment();
        }
        if (!batch.isEmpty()) {
            batches.add(batch);
        }
        return batches;
    }

    @Override
    public synchronized void close() throws IOException {
        seal();
        lock.close();
    }
}
