package io.erne.sample;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** The WebFlux application to try the agent on. */
@SpringBootApplication
public class SampleWebFluxApplication {
    public static void main(String[] args) {
        SpringApplication.run(SampleWebFluxApplication.class, args);
    }
}
