package io.erne.agent;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.HexFormat;

/**
 * The last profile on disk, so that an application protects itself from its first request on, gateway or not.
 *
 * <p>The first line is an HMAC of the rest by the agent's secret: a torn, broken or foreign file is not believed.
 */
final class ProfileCache {
    private static final long FILE_BYTES_MAX = GatewayConnections.RESPONSE_BYTES_MAX + 1024L;

    private final Path file;
    private final Signer signer;

    ProfileCache(Path directory, Signer signer) {
        this.file = directory.resolve("profile.json");
        this.signer = signer;
    }

    /** Null if there is none; an error if there is one that cannot be used. */
    String read() throws IOException {
        if (!Files.exists(file)) {
            return null;
        }
        if (Files.size(file) > FILE_BYTES_MAX) {
            throw new IOException(file + " is too large to be a profile");
        }
        byte[] bytes = Files.readAllBytes(file);
        int end = 64;
        if (bytes.length <= end || bytes[end] != '\n') {
            throw new IOException(file + " is no stored profile");
        }
        byte[] json = java.util.Arrays.copyOfRange(bytes, end + 1, bytes.length);
        byte[] expected = HexFormat.of().formatHex(signer.mac(json)).getBytes(StandardCharsets.US_ASCII);
        if (!MessageDigest.isEqual(expected, java.util.Arrays.copyOf(bytes, end))) {
            throw new IOException(file + " is damaged or was not written by this agent");
        }
        return new String(json, StandardCharsets.UTF_8);
    }

    /** Replaces the file atomically: a reader sees the old one or the new one. */
    void write(String profile) throws IOException {
        byte[] json = profile.getBytes(StandardCharsets.UTF_8);
        byte[] mac = (HexFormat.of().formatHex(signer.mac(json)) + "\n").getBytes(StandardCharsets.US_ASCII);
        Path temporary = Files.createTempFile(file.getParent(), "profile", ".new");
        try {
            try (FileChannel channel = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
                for (byte[] part : new byte[][] {mac, json}) {
                    ByteBuffer buffer = ByteBuffer.wrap(part);
                    while (buffer.hasRemaining()) {
                        channel.write(buffer);
                    }
                }
                channel.force(true);
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }
}
