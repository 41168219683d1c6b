package io.erne.agent.spring;

import io.erne.agent.AgentSettings;
import io.erne.agent.Mode;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

/** What stands in the application's configuration; everything else comes from the gateway as the profile. */
@ConfigurationProperties("erne.agent")
public record ErneAgentProperties(
    @DefaultValue("true") boolean enabled,
    URI gateway,
    String id,
    String secret,
    String application,
    String instance,
    Path dataDir,
    @DefaultValue("monitor") Mode mode,
    @DefaultValue("2s") Duration startWait,
    @DefaultValue("1024") int queueItemsMax,
    @DefaultValue("64MB") DataSize storeMax,
    @DefaultValue("5s") Duration forwardEvery,
    String sslBundle) {

    AgentSettings settings(String applicationName, String framework) {
        AgentSettings settings = new AgentSettings();
        settings.gateway = gateway;
        settings.id = id;
        settings.secret = secret;
        settings.application = application != null ? application : applicationName;
        settings.instance = instance != null ? instance : settings.instance;
        settings.framework = framework;
        settings.dataDir = dataDir;
        settings.mode = mode;
        settings.startWaitMs = (int) startWait.toMillis();
        settings.queueItemsMax = queueItemsMax;
        settings.storeBytesMax = storeMax.toBytes();
        settings.forwardMs = (int) Math.max(1, forwardEvery.toMillis());
        return settings;
    }
}
