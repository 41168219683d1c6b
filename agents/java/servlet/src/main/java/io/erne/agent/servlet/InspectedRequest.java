package io.erne.agent.servlet;

import io.erne.agent.UploadHasher;
import jakarta.servlet.MultipartConfigElement;
import jakarta.servlet.ServletContext;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.Part;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UnsupportedEncodingException;
import java.nio.charset.Charset;
import java.nio.charset.IllegalCharsetNameException;
import java.nio.charset.StandardCharsets;
import java.nio.charset.UnsupportedCharsetException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A request whose body the agent has looked at and the application can read as if nobody had: as a stream, by a reader,
 * as parameters, as parts. The container cannot give parameters and parts of a body that was read from it, so they are
 * read here, when the application first asks for them, by the container's rules.
 */
final class InspectedRequest extends HttpServletRequestWrapper {
    private final BodyStream body;
    private final MultipartLimits limits;
    private final long formBytesMax;
    private ServletInputStream stream;
    private BufferedReader reader;
    private Map<String, String[]> parameters;
    private List<Part> parts;
    private PartsReader partsReader;
    private Exception partsFailure;

    InspectedRequest(HttpServletRequest request, int seenMax, MultipartLimits limits, long formBytesMax) throws IOException {
        super(request);
        this.body = new BodyStream(request.getInputStream(), seenMax, UploadHasher.of(request.getContentType()));
        this.limits = limits;
        this.formBytesMax = formBytesMax;
    }

    BodyStream body() {
        return body;
    }

    @Override
    public ServletInputStream getInputStream() {
        if (reader != null) {
            throw new IllegalStateException("getReader() has been called for this request already");
        }
        stream = body;
        return body;
    }

    @Override
    public BufferedReader getReader() throws IOException {
        if (stream != null) {
            throw new IllegalStateException("getInputStream() has been called for this request already");
        }
        if (reader == null) {
            reader = new BufferedReader(new InputStreamReader(body, charset()));
        }
        return reader;
    }

    private Charset charset() throws UnsupportedEncodingException {
        String name = getCharacterEncoding();
        try {
            return name == null ? StandardCharsets.ISO_8859_1 : Charset.forName(name);
        } catch (IllegalCharsetNameException | UnsupportedCharsetException e) {
            throw new UnsupportedEncodingException(name);
        }
    }

    private boolean isType(String wanted) {
        String type = getContentType();
        if (type == null) {
            return false;
        }
        int end = type.indexOf(';');
        return (end < 0 ? type : type.substring(0, end)).strip().toLowerCase(Locale.ROOT).equals(wanted);
    }

    private Map<String, String[]> parameters() {
        if (parameters == null) {
            // The container's own are those of the query, and of a body that someone before us had parsed.
            FormParameters all = new FormParameters();
            all.addAll(super.getParameterMap());
            if (stream == null && reader == null) {
                addBody(all);
            }
            parameters = all.map();
        }
        return parameters;
    }

    private void addBody(FormParameters all) {
        try {
            if (isType("multipart/form-data")) {
                addFields(all);
            } else if (isType("application/x-www-form-urlencoded") && "POST".equals(getMethod())) {
                byte[] form = form();
                if (form != null) {
                    all.addForm(form, charset());
                }
            }
        } catch (IOException | ServletException | IllegalStateException e) {
            // As containers do: a body that cannot be read as parameters gives none, and getParts() tells why.
            return;
        }
    }

    /** Null if it is larger than the container would take. */
    private byte[] form() throws IOException {
        if (formBytesMax >= 0 && getContentLengthLong() > formBytesMax) {
            return null;
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        for (int n; (n = body.read(buffer, 0, buffer.length)) >= 0; ) {
            out.write(buffer, 0, n);
            if (formBytesMax >= 0 && out.size() > formBytesMax) {
                return null;
            }
        }
        return out.toByteArray();
    }

    private void addFields(FormParameters all) throws IOException, ServletException {
        for (Part part : getParts()) {
            if (part.getSubmittedFileName() == null && part instanceof StoredPart stored && (formBytesMax < 0 || part.getSize() <= formBytesMax)) {
                all.add(part.getName(), new String(stored.bytes(), charset()));
            }
        }
    }

    @Override
    public String getParameter(String name) {
        String[] values = parameters().get(name);
        return values == null || values.length == 0 ? null : values[0];
    }

    @Override
    public Map<String, String[]> getParameterMap() {
        return Collections.unmodifiableMap(parameters());
    }

    @Override
    public Enumeration<String> getParameterNames() {
        return Collections.enumeration(parameters().keySet());
    }

    @Override
    public String[] getParameterValues(String name) {
        String[] values = parameters().get(name);
        return values == null ? null : values.clone();
    }

    @Override
    public Collection<Part> getParts() throws IOException, ServletException {
        if (partsFailure instanceof IOException e) {
            throw e;
        }
        if (partsFailure instanceof ServletException e) {
            throw e;
        }
        if (partsFailure instanceof IllegalStateException e) {
            throw e;
        }
        if (parts == null) {
            try {
                parts = readParts();
            } catch (PartsReader.TooLarge e) {
                IllegalStateException failure = new IllegalStateException(e);
                partsFailure = failure;
                throw failure;
            } catch (IOException | ServletException | IllegalStateException e) {
                partsFailure = e;
                throw e;
            }
        }
        return Collections.unmodifiableList(new ArrayList<>(parts));
    }

    private List<Part> readParts() throws IOException, ServletException {
        if (!isType("multipart/form-data")) {
            throw new ServletException("the request's content type is not multipart/form-data but " + getContentType());
        }
        MultipartConfigElement config = limits.of((HttpServletRequest) getRequest());
        if (config == null) {
            throw new IllegalStateException("the servlet has no multipart configuration, so the request has no parts");
        }
        partsReader = new PartsReader(config, (File) getServletContext().getAttribute(ServletContext.TEMPDIR));
        return partsReader.read(getContentType(), body, getContentLengthLong());
    }

    @Override
    public Part getPart(String name) throws IOException, ServletException {
        for (Part part : getParts()) {
            if (part.getName().equals(name)) {
                return part;
            }
        }
        return null;
    }

    /** Deletes temporary files, when the request is over. */
    void release() {
        if (partsReader != null) {
            partsReader.delete();
        }
    }
}
