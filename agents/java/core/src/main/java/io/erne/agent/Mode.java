package io.erne.agent;

/** What the agent does with a request. */
public enum Mode {
    /** Nothing at all. */
    OFF,
    /** Stores it on disk, to be inspected later. */
    LITE,
    /** Has it inspected beside the handler; never blocks. */
    MONITOR,
    /** Has it inspected before the handler runs; blocks attacks. */
    PROTECTION;

    static Mode of(String name) {
        for (Mode mode : values()) {
            if (mode.text().equals(name)) {
                return mode;
            }
        }
        throw new IllegalArgumentException("not a mode: " + name);
    }

    public String text() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }
}
