package io.erne.agent;

import java.io.IOException;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Describes the files of a multipart body while it passes, in place of shipping them. */
public final class UploadHasher implements MultipartReader.Handler {
    /** First bytes told of each file, by which its kind is known. */
    static final int MAGIC_BYTES = 64;
    /** Files described of one request. */
    static final int FILES_MAX = 64;
    private static final int NAME_CHARS_MAX = 512;

    /** One file; {@code sha256} is null until its end was seen. */
    public record Upload(String name, long size, String sha256, String contentType, String magic) {
        Map<String, Object> json() {
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("name", name);
            map.put("size", size);
            if (sha256 != null) {
                map.put("sha256", sha256);
            }
            map.put("content_type", contentType);
            map.put("magic", magic);
            return map;
        }
    }

    private final List<Upload> files = new ArrayList<>();
    private final MultipartReader reader;
    private MultipartReader.Headers current;
    private MessageDigest hash;
    private long size;
    private final byte[] magic = new byte[MAGIC_BYTES];

    private UploadHasher(String boundary) {
        reader = new MultipartReader(boundary, this);
    }

    /** Null for a body that is no multipart one. */
    public static UploadHasher of(String contentType) {
        String boundary = MultipartReader.boundary(contentType);
        return boundary == null ? null : new UploadHasher(boundary);
    }

    public void push(byte[] bytes, int offset, int length) {
        try {
            reader.push(bytes, offset, length);
        } catch (IOException e) {
            throw new IllegalStateException("nothing here does I/O", e);
        }
    }

    /** Those seen by now, the last one perhaps in part. */
    public List<Upload> files() {
        List<Upload> all = new ArrayList<>(files);
        if (current != null) {
            all.add(upload(null));
        }
        return all;
    }

    /** Whether all files were seen to their end. */
    public boolean complete() {
        return reader.complete();
    }

    @Override
    public void begin(MultipartReader.Headers headers) {
        if (headers.fileName() != null && files.size() < FILES_MAX) {
            current = headers;
            hash = Signer.sha256();
            size = 0;
        }
    }

    @Override
    public void data(byte[] bytes, int offset, int length) {
        if (current == null) {
            return;
        }
        if (size < MAGIC_BYTES) {
            System.arraycopy(bytes, offset, magic, (int) size, (int) Math.min(length, MAGIC_BYTES - size));
        }
        hash.update(bytes, offset, length);
        size += length;
    }

    @Override
    public void end() {
        if (current != null) {
            files.add(upload(HexFormat.of().formatHex(hash.digest())));
            current = null;
        }
    }

    private Upload upload(String sha256) {
        String name = current.fileName();
        String type = current.get("content-type");
        return new Upload(name.length() > NAME_CHARS_MAX ? name.substring(0, NAME_CHARS_MAX) : name, size, sha256, type == null ? "" : type,
            HexFormat.of().formatHex(magic, 0, (int) Math.min(size, MAGIC_BYTES)));
    }
}
