package io.erne.agent.servlet;

import io.erne.agent.MultipartReader;
import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.http.Part;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Gives the application the parts of a multipart body, within the servlet's own limits. */
final class PartsReader implements MultipartReader.Handler {
    private final MultipartConfigElement limits;
    private final Path directory;
    private final List<Part> parts = new ArrayList<>();
    private StoredPart part;

    PartsReader(MultipartConfigElement limits, File temporary) {
        this.limits = limits;
        String location = limits.getLocation();
        File given = location == null || location.isEmpty() ? temporary : new File(location);
        this.directory = (given.isAbsolute() ? given : new File(temporary, location)).toPath();
    }

    /** The words of the message are those by which Spring knows the reason. */
    static final class TooLarge extends IOException {
        TooLarge(String what, long max) {
            super(what + " exceeds its maximum size of " + max + " bytes");
        }
    }

    List<Part> read(String contentType, InputStream in, long length) throws IOException {
        String boundary = MultipartReader.boundary(contentType);
        if (boundary == null) {
            throw new IOException("the request was rejected because no multipart boundary was found");
        }
        long max = limits.getMaxRequestSize();
        if (max >= 0 && length > max) {
            throw new TooLarge("the request", max);
        }
        MultipartReader reader = new MultipartReader(boundary, this);
        byte[] buffer = new byte[8192];
        long total = 0;
        try {
            for (int n; (n = in.read(buffer)) >= 0; ) {
                total += n;
                if (max >= 0 && total > max) {
                    throw new TooLarge("the request", max);
                }
                reader.push(buffer, 0, n);
            }
            if (!reader.complete()) {
                throw new IOException("the multipart body ends early");
            }
            return parts;
        } catch (IOException e) {
            delete();
            throw e;
        }
    }

    void delete() {
        List<Part> all = new ArrayList<>(parts);
        if (part != null) {
            all.add(part);
        }
        for (Part each : all) {
            try {
                each.delete();
            } catch (IOException e) {
                // A temporary file stays; the system's clean-up takes it.
            }
        }
    }

    @Override
    public void begin(MultipartReader.Headers headers) throws IOException {
        if (headers.name() == null) {
            return;
        }
        if (parts.size() >= FormParameters.COUNT_MAX) {
            throw new TooLarge("the number of parts", FormParameters.COUNT_MAX);
        }
        part = new StoredPart(headers, directory, limits.getFileSizeThreshold());
    }

    @Override
    public void data(byte[] bytes, int offset, int length) throws IOException {
        if (part == null) {
            return;
        }
        long max = limits.getMaxFileSize();
        if (max >= 0 && part.getSize() + length > max) {
            throw new TooLarge("the field " + part.getName(), max);
        }
        part.append(bytes, offset, length);
    }

    @Override
    public void end() throws IOException {
        if (part != null) {
            part.end();
            parts.add(part);
            part = null;
        }
    }
}
