package io.erne.agent;

/**
 * What to do with a request.
 *
 * @param status  of the answer, if it is blocked
 * @param why     one word for logs: {@code attack}, {@code banned}, {@code rate}, {@code unavailable}
 */
public record Decision(boolean blocked, int status, String why, String id) {
    public static final Decision ALLOW = new Decision(false, 200, "", "");
}
