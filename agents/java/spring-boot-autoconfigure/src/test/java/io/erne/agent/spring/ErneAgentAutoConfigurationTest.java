package io.erne.agent.spring;

import static org.assertj.core.api.Assertions.assertThat;

import io.erne.agent.Agent;
import io.erne.agent.Mode;
import io.erne.agent.StandInGateway;
import io.erne.agent.servlet.AgentFilter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.web.reactive.WebHttpHandlerBuilderCustomizer;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.boot.test.context.runner.WebApplicationContextRunner;
import org.springframework.boot.web.servlet.FilterRegistrationBean;

class ErneAgentAutoConfigurationTest {
    private static final AutoConfigurations CONFIGURATION = AutoConfigurations.of(ErneAgentAutoConfiguration.class);

    @TempDir
    Path directory;

    private String[] properties(StandInGateway gateway) {
        return new String[] {"erne.agent.gateway=" + gateway.uri(), "erne.agent.id=" + StandInGateway.ID, "erne.agent.secret=" + StandInGateway.SECRET,
            "erne.agent.data-dir=" + directory, "spring.application.name=shop"};
    }

    private static long agentThreads() {
        return Thread.getAllStackTraces().keySet().stream().filter(t -> t.getName().startsWith("erne-agent-")).count();
    }

    @Test
    void nothingIsPutInUnlessAGatewayIsNamed() {
        new WebApplicationContextRunner().withConfiguration(CONFIGURATION).run(context -> assertThat(context).doesNotHaveBean(Agent.class));
        new WebApplicationContextRunner().withConfiguration(CONFIGURATION).withPropertyValues("erne.agent.gateway=http://127.0.0.1:1", "erne.agent.enabled=false")
            .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(Agent.class).doesNotHaveBean(FilterRegistrationBean.class));
    }

    @Test
    void aGatewayWithoutASecretIsSaidAtTheStart() {
        new WebApplicationContextRunner().withConfiguration(CONFIGURATION).withPropertyValues("erne.agent.gateway=http://127.0.0.1:1")
            .run(context -> assertThat(context).getFailure().rootCause().hasMessageContaining("erne.agent.secret"));
    }

    @Test
    void eachKindOfApplicationGetsItsOwnAndThreadsEndWithIt() throws Exception {
        try (StandInGateway gateway = new StandInGateway("\"mode\":\"protection\"")) {
            new WebApplicationContextRunner().withConfiguration(CONFIGURATION).withPropertyValues(properties(gateway)).run(context -> {
                assertThat(context.getBean(Agent.class).profile().mode).isEqualTo(Mode.PROTECTION);
                assertThat(context.getBean(FilterRegistrationBean.class).getFilter()).isInstanceOf(AgentFilter.class);
                assertThat(context).doesNotHaveBean(WebHttpHandlerBuilderCustomizer.class);
                assertThat(gateway.hellos.get(0)).containsEntry("application", "shop");
                assertThat(agentThreads()).isPositive();
            });
            assertThat(agentThreads()).isZero();
            new ReactiveWebApplicationContextRunner().withConfiguration(CONFIGURATION).withPropertyValues(properties(gateway))
                .withClassLoader(new FilteredClassLoader("jakarta.servlet"))
                .run(context -> assertThat(context).hasNotFailed().hasSingleBean(WebHttpHandlerBuilderCustomizer.class).doesNotHaveBean(FilterRegistrationBean.class));
            new ApplicationContextRunner().withConfiguration(CONFIGURATION).withPropertyValues(properties(gateway))
                .run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(FilterRegistrationBean.class));
            assertThat(agentThreads()).isZero();
        }
    }
}
