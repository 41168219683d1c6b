package io.erne.sample;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.Part;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.springframework.http.HttpStatus;
import org.springframework.http.MediaType;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.multipart.MultipartFile;
import org.springframework.web.servlet.mvc.method.annotation.SseEmitter;
import org.springframework.web.servlet.mvc.method.annotation.StreamingResponseBody;

/** One handler for each way of reading a request and of answering it. */
@RestController
public class SampleController {
    private final AtomicLong handled = new AtomicLong();

    private String handled(String text) {
        handled.incrementAndGet();
        return text;
    }

    /** How many handlers ran: a blocked request must not count. */
    @GetMapping("/handled")
    long count() {
        return handled.get();
    }

    @GetMapping("/search")
    String search(@RequestParam(defaultValue = "") String q) {
        return handled("found nothing for " + q);
    }

    @GetMapping("/items/{id}")
    Map<String, String> item(@PathVariable String id) {
        return Map.of("id", handled(id));
    }

    @PostMapping("/form")
    String form(HttpServletRequest request) {
        Map<String, String> all = new TreeMap<>();
        request.getParameterMap().forEach((name, values) -> all.put(name, Arrays.toString(values)));
        return handled(all.toString());
    }

    @PostMapping("/bound")
    String bound(@RequestParam String name, @RequestParam(required = false) String comment) {
        return handled(name + "|" + comment);
    }

    @PostMapping("/json")
    Map<String, Object> json(@RequestBody Map<String, Object> body) {
        handled.incrementAndGet();
        return new TreeMap<>(body);
    }

    @PostMapping("/raw")
    String raw(HttpServletRequest request) throws IOException {
        return handled(digest(request.getInputStream()));
    }

    @PostMapping("/reader")
    String reader(HttpServletRequest request) throws IOException {
        StringBuilder text = new StringBuilder();
        try (BufferedReader reader = request.getReader()) {
            for (String line; (line = reader.readLine()) != null; ) {
                text.append(line).append('|');
            }
        }
        return handled(text.toString());
    }

    /** First parameters, then the stream: what servlets leave of it. */
    @PostMapping("/both")
    String both(HttpServletRequest request) throws IOException {
        String name = request.getParameter("name");
        return handled(name + "|" + request.getInputStream().readAllBytes().length);
    }

    @PostMapping("/upload")
    String upload(@RequestParam MultipartFile file, @RequestParam(required = false) String note) throws IOException {
        return handled(file.getOriginalFilename() + "|" + file.getContentType() + "|" + file.getSize() + "|" + note + "|" + digest(file.getInputStream()));
    }

    @PostMapping("/parts")
    String parts(HttpServletRequest request) throws Exception {
        StringBuilder text = new StringBuilder();
        for (Part part : request.getParts()) {
            text.append(part.getName()).append('|').append(part.getSubmittedFileName()).append('|').append(part.getContentType()).append('|')
                .append(digest(part.getInputStream())).append('\n');
        }
        return handled(text.toString());
    }

    @PostMapping(value = "/echo")
    void echo(HttpServletRequest request, HttpServletResponse response) throws IOException {
        handled.incrementAndGet();
        response.setContentType("application/octet-stream");
        request.getInputStream().transferTo(response.getOutputStream());
    }

    @GetMapping("/stream")
    StreamingResponseBody stream() {
        handled.incrementAndGet();
        return out -> {
            for (int i = 0; i < 50; i++) {
                out.write(("line " + i + "\n").getBytes(StandardCharsets.US_ASCII));
                out.flush();
            }
        };
    }

    @GetMapping(value = "/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    SseEmitter events() {
        handled.incrementAndGet();
        SseEmitter emitter = new SseEmitter();
        CompletableFuture.runAsync(() -> {
            try {
                for (int i = 0; i < 5; i++) {
                    emitter.send("event " + i);
                }
                emitter.complete();
            } catch (IOException e) {
                emitter.completeWithError(e);
            }
        });
        return emitter;
    }

    @GetMapping("/later")
    Callable<String> later() {
        return () -> handled("later");
    }

    @GetMapping("/large")
    void large(HttpServletResponse response) throws IOException {
        handled.incrementAndGet();
        byte[] block = new byte[10_000];
        Arrays.fill(block, (byte) 'x');
        OutputStream out = response.getOutputStream();
        for (int i = 0; i < 100; i++) {
            out.write(block);
        }
    }

    @DeleteMapping("/items/{id}")
    ResponseEntity<Void> delete(@PathVariable String id) {
        handled(id);
        return ResponseEntity.noContent().build();
    }

    @GetMapping("/cookies")
    String cookies(HttpServletRequest request, HttpServletResponse response) {
        StringBuilder text = new StringBuilder();
        for (Cookie cookie : request.getCookies() == null ? new Cookie[0] : request.getCookies()) {
            text.append(cookie.getName()).append('=').append(cookie.getValue()).append('\n');
        }
        response.addCookie(new Cookie("first", "1"));
        response.addCookie(new Cookie("second", "2"));
        return handled(text.toString());
    }

    @GetMapping("/framed")
    ResponseEntity<String> framed() {
        return ResponseEntity.ok().header("X-Frame-Options", "DENY").body(handled("framed"));
    }

    @GetMapping("/fails")
    String fails() {
        handled.incrementAndGet();
        throw new IllegalStateException("the application's own error");
    }

    @GetMapping("/status")
    ResponseEntity<String> status(@RequestParam int code) {
        return ResponseEntity.status(HttpStatus.valueOf(code)).body(handled("status"));
    }

    @RequestMapping("/redirect")
    ResponseEntity<Void> redirect() {
        handled.incrementAndGet();
        return ResponseEntity.status(302).header("Location", "/search").build();
    }

    private static String digest(InputStream in) throws IOException {
        try {
            MessageDigest hash = MessageDigest.getInstance("SHA-256");
            long size = 0;
            byte[] buffer = new byte[8192];
            for (int n; (n = in.read(buffer)) >= 0; size += n) {
                hash.update(buffer, 0, n);
            }
            return size + ":" + HexFormat.of().formatHex(hash.digest());
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
