package io.erne.agent;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.InflaterInputStream;

/**
 * A body as it may leave the process. A compressed one is decompressed first, since secrets in it could not be found
 * otherwise; one in a coding the JDK cannot read is not sent at all, which is told.
 *
 * @param plain whether a content coding was undone
 * @param cut   whether bytes are missing
 */
record BodyView(byte[] bytes, boolean plain, boolean cut) {
    /** A compressed body may grow to this many times the bytes looked at of a plain one. */
    static final int GROWTH_MAX = 8;

    static BodyView of(Transaction transaction, Redactor redactor) {
        byte[] raw = transaction.body();
        String coding = Transaction.lower(transaction.header("content-encoding")).strip();
        String type = transaction.header("content-type");
        if (raw.length == 0 || coding.isEmpty() || coding.equals("identity")) {
            return new BodyView(redactor.body(type, raw), false, false);
        }
        int max = Math.max(raw.length, 65_536) * GROWTH_MAX;
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        boolean cut = false;
        try (InputStream in = reader(coding, raw)) {
            if (in == null) {
                return new BodyView(new byte[0], false, true);
            }
            byte[] buffer = new byte[8192];
            for (int n; (n = in.read(buffer)) >= 0; ) {
                out.write(buffer, 0, Math.min(n, max - out.size()));
                if (out.size() >= max) {
                    cut = true;
                    break;
                }
            }
        } catch (IOException e) {
            // Its end is missing (only the first bytes are looked at) or broken: what came until here is inspected.
            cut = true;
        }
        return new BodyView(redactor.body(type, out.toByteArray()), true, cut);
    }

    private static InputStream reader(String coding, byte[] raw) throws IOException {
        switch (coding) {
            case "gzip", "x-gzip":
                return new GZIPInputStream(new ByteArrayInputStream(raw));
            case "deflate":
                return new InflaterInputStream(new ByteArrayInputStream(raw));
            default:
                return null;
        }
    }
}
