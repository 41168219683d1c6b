package io.erne.agent;

/** A pattern of paths: {@code *} matches within a segment, {@code **} across segments. Linear in the path's length. */
public final class PathGlob {
    private final String pattern;

    public PathGlob(String pattern) {
        this.pattern = pattern;
    }

    public String pattern() {
        return pattern;
    }

    /** {@code /admin/**} matches {@code /admin} too, as people expect. */
    public boolean matches(String path) {
        if (pattern.endsWith("/**") && match(pattern.substring(0, pattern.length() - 3), path)) {
            return true;
        }
        return match(pattern, path);
    }

    /** Rows of a table over pattern and path: no backtracking, whatever the pattern. */
    private static boolean match(String pattern, String path) {
        boolean[] row = new boolean[path.length() + 1];
        row[0] = true;
        for (int p = 0; p < pattern.length(); p++) {
            char c = pattern.charAt(p);
            boolean across = c == '*' && p + 1 < pattern.length() && pattern.charAt(p + 1) == '*';
            boolean[] next = new boolean[row.length];
            if (c == '*') {
                next[0] = row[0];
                for (int i = 1; i < row.length; i++) {
                    next[i] = row[i] || next[i - 1] && (across || path.charAt(i - 1) != '/');
                }
                p += across ? 1 : 0;
            } else {
                for (int i = 1; i < row.length; i++) {
                    next[i] = row[i - 1] && path.charAt(i - 1) == c;
                }
            }
            row = next;
        }
        return row[path.length()];
    }
}
