package io.erne.agent;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** What the gateway is told of the machine. */
final class Host {
    private Host() {}

    /** From the environment or the kernel: asking a resolver could take seconds. */
    static String name() {
        String name = System.getenv("HOSTNAME");
        try {
            if (name == null || name.isBlank()) {
                name = Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
            }
        } catch (java.io.IOException | RuntimeException e) {
            name = System.getenv("COMPUTERNAME");
        }
        return name == null || name.isBlank() ? "unknown" : name;
    }

    static Map<String, Object> inventory() {
        Map<String, Object> host = new LinkedHashMap<>();
        host.put("hostname", name());
        host.put("os", System.getProperty("os.name") + " " + System.getProperty("os.version"));
        host.put("arch", System.getProperty("os.arch"));
        host.put("pid", ProcessHandle.current().pid());
        host.put("runtime", System.getProperty("java.vm.name"));
        host.put("runtime_version", Runtime.version().toString());
        host.put("run_as", System.getProperty("user.name"));
        return host;
    }
}
