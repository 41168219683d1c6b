package io.erne.agent.servlet;

import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletRegistration;
import jakarta.servlet.annotation.MultipartConfig;
import jakarta.servlet.http.HttpServletRequest;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The multipart settings of the servlet a request goes to. The Servlet API does not show them to filters: Spring Boot
 * gives them by its bean, elsewhere the servlet's {@link MultipartConfig} is read. Settings that stand only in
 * web.xml can be given to {@link AgentFilter} itself.
 */
public interface MultipartLimits {
    /** Null if the servlet takes no multipart requests. */
    MultipartConfigElement of(HttpServletRequest request);

    /** By the annotation of the servlet's class. */
    static MultipartLimits annotated() {
        Map<String, Optional<MultipartConfigElement>> known = new ConcurrentHashMap<>();
        return request -> {
            String name = request.getHttpServletMapping().getServletName();
            return name == null || name.isEmpty() ? null : known.computeIfAbsent(name, n -> read(request.getServletContext(), n)).orElse(null);
        };
    }

    private static Optional<MultipartConfigElement> read(ServletContext context, String name) {
        ServletRegistration registration = context.getServletRegistration(name);
        try {
            MultipartConfig config = registration == null ? null
                : Class.forName(registration.getClassName(), false, context.getClassLoader()).getAnnotation(MultipartConfig.class);
            return Optional.ofNullable(config).map(MultipartConfigElement::new);
        } catch (ClassNotFoundException | LinkageError e) {
            return Optional.empty();
        }
    }
}
