package io.erne.sample;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/** An application to try the agent on: {@code java -jar sample.jar --erne.agent.gateway=http://127.0.0.1:8080 …}. */
@SpringBootApplication
public class SampleApplication {
    public static void main(String[] args) {
        SpringApplication.run(SampleApplication.class, args);
    }
}
