package io.erne.agent.spring;

import io.erne.agent.Agent;
import io.erne.agent.AgentSettings;
import io.erne.agent.servlet.AgentFilter;
import io.erne.agent.servlet.MultipartLimits;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.Filter;
import jakarta.servlet.MultipartConfigElement;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.autoconfigure.web.reactive.WebHttpHandlerBuilderCustomizer;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.core.env.Environment;
import org.springframework.util.unit.DataSize;
import org.springframework.web.server.adapter.WebHttpHandlerBuilder;
import reactor.core.publisher.Mono;

/** Puts the agent before the application as soon as {@code erne.agent.gateway} is set. */
@AutoConfiguration(afterName = {
    "org.springframework.boot.autoconfigure.web.servlet.MultipartAutoConfiguration",
    "org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration"})
@ConditionalOnProperty(prefix = "erne.agent", name = "gateway")
@EnableConfigurationProperties(ErneAgentProperties.class)
public class ErneAgentAutoConfiguration {
    /** Before Spring Security and everything that reads a body; after nothing but the character encoding. */
    public static final int ORDER = Ordered.HIGHEST_PRECEDENCE + 10;

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnProperty(prefix = "erne.agent", name = "enabled", matchIfMissing = true)
    static class Enabled {
        @Bean(destroyMethod = "close")
        @ConditionalOnMissingBean
        Agent erneAgent(ErneAgentProperties properties, Environment environment, ObjectProvider<SslBundles> bundles) {
            String name = environment.getProperty("spring.application.name", "application");
            AgentSettings settings = properties.settings(name, "Spring Boot " + SpringBootVersion.getVersion());
            if (properties.sslBundle() != null) {
                settings.tls = bundles.getObject().getBundle(properties.sslBundle()).createSslContext().getSocketFactory();
            }
            return Agent.start(settings);
        }

        @Configuration(proxyBeanMethods = false)
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.SERVLET)
        @ConditionalOnClass({Filter.class, FilterRegistrationBean.class})
        static class Servlet {
            @Bean
            @ConditionalOnMissingBean(name = "erneAgentFilter")
            FilterRegistrationBean<AgentFilter> erneAgentFilter(Agent agent, ObjectProvider<MultipartConfigElement> multipart, Environment environment) {
                MultipartLimits limits = request -> multipart.getIfAvailable();
                DataSize form = environment.getProperty("server.tomcat.max-http-form-post-size", DataSize.class, DataSize.ofBytes(AgentFilter.FORM_BYTES_MAX));
                FilterRegistrationBean<AgentFilter> registration = new FilterRegistrationBean<>(new AgentFilter(agent, limits, form.toBytes()));
                registration.setOrder(ORDER);
                registration.setDispatcherTypes(DispatcherType.REQUEST);
                registration.setAsyncSupported(true);
                return registration;
            }
        }

        @Configuration(proxyBeanMethods = false)
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
        @ConditionalOnClass({Mono.class, WebHttpHandlerBuilder.class, WebHttpHandlerBuilderCustomizer.class})
        static class Reactive {
            @Bean
            @Order(Ordered.HIGHEST_PRECEDENCE)
            @ConditionalOnMissingBean(name = "erneAgentHandlerCustomizer")
            WebHttpHandlerBuilderCustomizer erneAgentHandlerCustomizer(Agent agent) {
                return builder -> builder.httpHandlerDecorator(handler -> new AgentHttpHandler(agent, handler));
            }
        }
    }
}
