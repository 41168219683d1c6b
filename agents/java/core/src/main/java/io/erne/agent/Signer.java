package io.erne.agent;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicLong;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Signs requests to the gateway: {@code ERNE-HMAC-SHA256} over method, path with query, time, nonce and the body's hash. */
final class Signer {
    private static final String ALGORITHM = "HmacSHA256";

    private final String id;
    private final SecretKeySpec key;
    /** A nonce must be new, not unguessable: the signature covers it. So a random start and a counter do. */
    private final String nonceStart;
    private final AtomicLong nonceCount = new AtomicLong();

    Signer(String id, String secret) {
        this.id = id;
        this.key = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), ALGORITHM);
        byte[] random = new byte[15];
        new SecureRandom().nextBytes(random);
        this.nonceStart = Base64.getUrlEncoder().withoutPadding().encodeToString(random);
    }

    String authorization(String method, String pathWithQuery, byte[] body, long unixSecs) {
        return authorization(method, pathWithQuery, body, unixSecs, nonceStart + Long.toString(nonceCount.incrementAndGet(), 36));
    }

    String authorization(String method, String pathWithQuery, byte[] body, long unixSecs, String nonce) {
        String message = method + "\n" + pathWithQuery + "\n" + unixSecs + "\n" + nonce + "\n" + HexFormat.of().formatHex(sha256().digest(body));
        return "ERNE-HMAC-SHA256 id=" + id + ",ts=" + unixSecs + ",nonce=" + nonce + ",sig=" + HexFormat.of().formatHex(mac(message.getBytes(StandardCharsets.UTF_8)));
    }

    byte[] mac(byte[] message) {
        try {
            Mac mac = Mac.getInstance(ALGORITHM);
            mac.init(key);
            return mac.doFinal(message);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java has HmacSHA256", e);
        }
    }

    static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }
}
