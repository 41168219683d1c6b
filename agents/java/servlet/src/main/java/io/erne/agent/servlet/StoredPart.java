package io.erne.agent.servlet;

import io.erne.agent.MultipartReader;
import jakarta.servlet.http.Part;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** A part of a multipart body: small in memory, large in a temporary file. */
final class StoredPart implements Part {
    /** Parts up to this size stay in memory, though the application's threshold may be 0. */
    private static final int MEMORY_BYTES = 16_384;

    private final MultipartReader.Headers headers;
    private final Path directory;
    private final int memoryMax;
    private ByteArrayOutputStream memory = new ByteArrayOutputStream();
    private OutputStream out;
    private Path file;
    private long size;

    StoredPart(MultipartReader.Headers headers, Path directory, int threshold) {
        this.headers = headers;
        this.directory = directory;
        this.memoryMax = Math.max(threshold, MEMORY_BYTES);
    }

    void append(byte[] bytes, int offset, int length) throws IOException {
        if (file == null && size + length > memoryMax) {
            file = Files.createTempFile(directory, "upload_", ".tmp");
            out = Files.newOutputStream(file);
            memory.writeTo(out);
            memory = null;
        }
        (file == null ? memory : out).write(bytes, offset, length);
        size += length;
    }

    void end() throws IOException {
        if (out != null) {
            out.close();
        }
    }

    @Override
    public InputStream getInputStream() throws IOException {
        return file == null ? new ByteArrayInputStream(memory.toByteArray()) : Files.newInputStream(file);
    }

    byte[] bytes() throws IOException {
        return file == null ? memory.toByteArray() : Files.readAllBytes(file);
    }

    @Override
    public String getContentType() {
        return headers.get("content-type");
    }

    @Override
    public String getName() {
        return headers.name();
    }

    @Override
    public String getSubmittedFileName() {
        return headers.fileName();
    }

    @Override
    public long getSize() {
        return size;
    }

    @Override
    public void write(String name) throws IOException {
        File target = new File(name);
        Path path = target.isAbsolute() ? target.toPath() : directory.resolve(name);
        if (file == null) {
            Files.write(path, memory.toByteArray());
        } else {
            try {
                Files.move(file, path, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                Files.copy(file, path, StandardCopyOption.REPLACE_EXISTING);
            }
        }
    }

    @Override
    public void delete() throws IOException {
        end();
        if (file != null) {
            Files.deleteIfExists(file);
        }
    }

    @Override
    public String getHeader(String name) {
        return headers.get(name);
    }

    @Override
    public Collection<String> getHeaders(String name) {
        return headers.list().stream().filter(h -> h.getKey().equalsIgnoreCase(name)).map(Map.Entry::getValue).toList();
    }

    @Override
    public Collection<String> getHeaderNames() {
        Set<String> names = new LinkedHashSet<>();
        headers.list().forEach(header -> names.add(header.getKey().toLowerCase(Locale.ROOT)));
        return names;
    }
}
