package io.erne.agent;

import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * What the gateway wants of this agent, as far as the agent itself acts on it. Unknown members are ignored, absent ones have the defaults of
 * docs/agents-java.md; a member of the wrong kind refuses the whole profile, so that a typing error never turns
 * protection off in silence.
 */
public final class Profile {
    /** Bans in force at once. */
    static final int BANS_MAX = 500_000;
    /** Routes, proxies, headers, names to redact: each. */
    static final int ITEMS_MAX = 4_096;
    /** Body bytes looked at, however large a value the profile gives. */
    static final int BODY_MAX = 1 << 20;
    static final List<String> REDACT = List.of("password", "passwd", "passphrase", "pwd", "secret", "token", "authorization", "cookie",
        "api key", "apikey", "private key", "credential", "session", "sid", "otp", "pin", "cvv", "cvc", "card number", "cardnumber", "iban", "ssn");

    private static final String FORBIDDEN_IN_HEADER = "\r\n\0";

    public final long version;
    public final Mode mode;
    public final boolean failOpen;
    public final int timeoutMs;
    public final List<Route> routes = new ArrayList<>();
    public final CidrMap<Boolean> trustedProxies = new CidrMap<>();
    public final int rateRequests;
    public final int ratePerSecs;
    public final Map<String, String> secureHeaders = new LinkedHashMap<>();
    public final List<String> redact = new ArrayList<>();
    public final int bodyMax;
    public final CidrMap<Ban> bans = new CidrMap<>();
    public final int blockStatus;
    public final String blockBody;
    /** As received. Thresholds, classes, exclusions and virtual patches in it are for the gateway. */
    public final String json;

    public record Route(PathGlob path, Mode mode) {}

    public record Ban(String cidr, Instant until, String reason) {}

    private Profile(String json, Map<String, Object> map, Mode fallback) {
        this.json = json;
        version = (long) number(map, "version", 0, 0, Long.MAX_VALUE);
        mode = map.get("mode") == null ? fallback : Mode.of(text(map, "mode", ""));
        failOpen = openOrClosed(text(map, "fail", "open"));
        timeoutMs = (int) number(map, "timeout_ms", 250, 1, 60_000);
        for (Map<String, Object> route : maps(map.get("routes"))) {
            routes.add(new Route(new PathGlob(text(route, "path", "/**")), Mode.of(text(route, "mode", mode.text()))));
        }
        for (Object cidr : list(map.get("trusted_proxies"))) {
            trustedProxies.put(String.valueOf(cidr), Boolean.TRUE);
        }
        Map<String, Object> rate = map(map.get("rate_limit"));
        rateRequests = (int) number(rate, "requests", 0, 0, Integer.MAX_VALUE);
        ratePerSecs = (int) number(rate, "per_secs", 60, 1, 86_400);
        for (Map.Entry<String, Object> header : map(map.get("secure_headers")).entrySet()) {
            secureHeaders.put(headerName(header.getKey()), headerValue(String.valueOf(header.getValue())));
        }
        for (Object name : map.get("redact") == null ? REDACT : list(map.get("redact"))) {
            redact.add(String.valueOf(name));
        }
        bodyMax = (int) Math.min(number(map, "body_max", 131_072, 0, Integer.MAX_VALUE), BODY_MAX);
        readBans(map.get("bans"));
        Map<String, Object> block = map(map.get("block"));
        blockStatus = (int) number(block, "status", 403, 200, 599);
        blockBody = text(block, "body", "");
    }

    /** Reads a profile; {@code fallback} is the mode of one that names none. */
    public static Profile parse(String json, Mode fallback) {
        try {
            return new Profile(json, Json.object(json), fallback);
        } catch (Json.JsonException | ClassCastException e) {
            throw new IllegalArgumentException("not a profile: " + e.getMessage(), e);
        }
    }

    /** The profile before the gateway has been heard. */
    static Profile initial(Mode mode) {
        return parse("{}", mode);
    }

    /** The mode for a path without its query: the first route that matches, else the profile's. */
    public Mode modeFor(String path) {
        for (Route route : routes) {
            if (route.path().matches(path)) {
                return route.mode();
            }
        }
        return mode;
    }

    /** The ban in force at {@code now} for this address, or null. */
    public Ban ban(Address address, Instant now) {
        Ban ban = bans.get(address);
        return ban == null || ban.until() != null && ban.until().isBefore(now) ? null : ban;
    }

    private void readBans(Object value) {
        List<Object> items = list(value, BANS_MAX);
        for (Object item : items) {
            Map<String, Object> ban = map(item);
            String until = text(ban, "until", "");
            try {
                String cidr = text(ban, "cidr", "");
                bans.put(cidr, new Ban(cidr, until.isEmpty() ? null : Instant.parse(until), text(ban, "reason", "")));
            } catch (DateTimeParseException e) {
                throw new IllegalArgumentException("not a time: " + until, e);
            }
        }
    }

    private static boolean openOrClosed(String fail) {
        if (!fail.equals("open") && !fail.equals("closed")) {
            throw new IllegalArgumentException("fail is open or closed, not " + fail);
        }
        return fail.equals("open");
    }

    private static String headerName(String name) {
        if (!name.matches("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")) {
            throw new IllegalArgumentException("not a header name: " + name);
        }
        return name;
    }

    private static String headerValue(String value) {
        for (char c : FORBIDDEN_IN_HEADER.toCharArray()) {
            if (value.indexOf(c) >= 0) {
                throw new IllegalArgumentException("a header value with a line break");
            }
        }
        return value;
    }

    private static String text(Map<String, Object> map, String name, String absent) {
        Object value = map.get(name);
        if (value == null) {
            return absent;
        }
        if (value instanceof String text) {
            return text;
        }
        throw new IllegalArgumentException(name + " is no text");
    }

    private static double number(Map<String, Object> map, String name, double absent, double min, double max) {
        Object value = map.get(name);
        if (value == null) {
            return absent;
        }
        if (value instanceof Number number && number.doubleValue() >= min && number.doubleValue() <= max) {
            return number.doubleValue();
        }
        throw new IllegalArgumentException(String.format(Locale.ROOT, "%s is not a number from %.0f to %.0f", name, min, max));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        if (value == null) {
            return Map.of();
        }
        if (value instanceof Map<?, ?> map && map.size() <= ITEMS_MAX) {
            return (Map<String, Object>) map;
        }
        throw new IllegalArgumentException("not an object, or one with too many members");
    }

    private static List<Object> list(Object value) {
        return list(value, ITEMS_MAX);
    }

    @SuppressWarnings("unchecked")
    private static List<Object> list(Object value, int max) {
        if (value == null) {
            return List.of();
        }
        if (value instanceof List<?> list && list.size() <= max) {
            return (List<Object>) list;
        }
        throw new IllegalArgumentException("not an array, or one of more than " + max + " items");
    }

    private static List<Map<String, Object>> maps(Object value) {
        return list(value).stream().map(Profile::map).toList();
    }
}
