package io.erne.agent;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a blocked sender gets to see. It names an identifier to report and nothing about what was found. */
public record BlockPage(int status, String contentType, byte[] body) {
    public static BlockPage of(Profile profile, Decision decision, String accept) {
        String wanted = Transaction.lower(accept);
        if (profile.blockBody.isEmpty() && wanted.contains("json") && !wanted.contains("text/html")) {
            Map<String, Object> problem = new LinkedHashMap<>();
            problem.put("type", "about:blank");
            problem.put("title", title(decision));
            problem.put("status", decision.status());
            problem.put("instance", decision.id());
            return new BlockPage(decision.status(), "application/problem+json", Json.write(problem).getBytes(StandardCharsets.UTF_8));
        }
        String page = profile.blockBody.isEmpty() ? page(decision) : profile.blockBody.replace("{id}", decision.id());
        return new BlockPage(decision.status(), "text/html;charset=UTF-8", page.getBytes(StandardCharsets.UTF_8));
    }

    private static String title(Decision decision) {
        return switch (decision.why()) {
            case "rate" -> "Too many requests";
            case "unavailable" -> "Temporarily unavailable";
            default -> "Request blocked";
        };
    }

    private static String page(Decision decision) {
        String text = switch (decision.why()) {
            case "rate" -> "You have sent too many requests. Please wait a minute and try again.";
            case "unavailable" -> "This request could not be checked. Please try again in a moment.";
            default -> "This request looked like an attack and was not carried out. If you did nothing unusual, please tell the operator the number below.";
        };
        return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>" + title(decision)
            + "</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;color:#222}code{color:#555}</style><h1>"
            + title(decision) + "</h1><p>" + text + "</p><p><code>" + decision.id() + "</code></p></html>\n";
    }
}
