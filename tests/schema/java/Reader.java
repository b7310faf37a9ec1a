import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.Base64;
import java.util.Collection;
import java.util.Map;
import java.util.UUID;
import org.apache.avro.Conversions;
import org.apache.avro.LogicalType;
import org.apache.avro.Schema;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.file.DataFileStream;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.IndexedRecord;
import org.apache.avro.util.TimePeriod;

/**
 * Reads Avro containers as a Java program does that uses Avro's own conversions.
 *
 * Each line of standard input is one container in base64. The line of standard output that answers
 * it is a JSON object: {"records": [...]}, or {"refused": "the exception"}. Whatever JSON has no
 * type for is an object of one entry, named after the logical type or the type. The parts of a time
 * are those that the Java object states (year, month, day, hour, minute, second, nanosecond).
 */
public final class Reader {
    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final GenericData MODEL = new GenericData();

    static {
        MODEL.addLogicalTypeConversion(new TimeConversions.DateConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.TimeMillisConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.TimeMicrosConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.TimestampNanosConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.LocalTimestampMillisConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.LocalTimestampMicrosConversion());
        MODEL.addLogicalTypeConversion(new TimeConversions.LocalTimestampNanosConversion());
        MODEL.addLogicalTypeConversion(new Conversions.DecimalConversion());
        MODEL.addLogicalTypeConversion(new Conversions.BigDecimalConversion());
        MODEL.addLogicalTypeConversion(new Conversions.UUIDConversion());
        MODEL.addLogicalTypeConversion(new Conversions.DurationConversion());
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper mapper = new ObjectMapper();
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(mapper.writeValueAsString(answer(Base64.getDecoder().decode(line))));
            out.flush();
        }
    }

    private static ObjectNode answer(byte[] container) {
        GenericDatumReader<Object> datums = new GenericDatumReader<>(null, null, MODEL);
        try (DataFileStream<Object> file =
                new DataFileStream<>(new ByteArrayInputStream(container), datums)) {
            ArrayNode records = JSON.arrayNode();
            while (file.hasNext()) {
                records.add(shown(file.getSchema(), file.next()));
            }
            return JSON.objectNode().set("records", records);
        } catch (Exception error) {
            return JSON.objectNode().put("refused", error.toString());
        }
    }

    private static JsonNode shown(Schema schema, Object value) {
        if (schema.getType() == Schema.Type.UNION) {
            return shown(schema.getTypes().get(MODEL.resolveUnion(schema, value)), value);
        }
        LogicalType logical = schema.getLogicalType();
        if (logical != null) {
            return tagged(logical.getName(), shownLogical(value));
        }
        switch (schema.getType()) {
            case RECORD:
                ArrayNode fields = JSON.arrayNode();
                for (Schema.Field field : schema.getFields()) {
                    Object part = ((IndexedRecord) value).get(field.pos());
                    fields.add(JSON.arrayNode().add(field.name()).add(shown(field.schema(), part)));
                }
                return tagged("record", fields);
            case MAP:
                ArrayNode entries = JSON.arrayNode();
                for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                    JsonNode part = shown(schema.getValueType(), entry.getValue());
                    entries.add(JSON.arrayNode().add(entry.getKey().toString()).add(part));
                }
                return tagged("map", entries);
            case ARRAY:
                ArrayNode items = JSON.arrayNode();
                for (Object item : (Collection<?>) value) {
                    items.add(shown(schema.getElementType(), item));
                }
                return items;
            case FLOAT:
            case DOUBLE:
                double number = ((Number) value).doubleValue();
                return tagged("double", JSON.textNode(Double.toString(number)));
            case BYTES:
                return tagged("bytes", latin1(((ByteBuffer) value).array()));
            case FIXED:
                return tagged("bytes", latin1(((GenericFixed) value).bytes()));
            case INT:
            case LONG:
                return JSON.numberNode(((Number) value).longValue());
            case BOOLEAN:
                return JSON.booleanNode((Boolean) value);
            case NULL:
                return JSON.nullNode();
            default: // string and enum
                return JSON.textNode(value.toString());
        }
    }

    private static JsonNode shownLogical(Object value) {
        if (value instanceof LocalDate) {
            return day((LocalDate) value);
        }
        if (value instanceof LocalTime) {
            return clock(JSON.arrayNode(), (LocalTime) value);
        }
        if (value instanceof Instant) {
            value = LocalDateTime.ofInstant((Instant) value, ZoneOffset.UTC);
        }
        if (value instanceof LocalDateTime) {
            LocalDateTime at = (LocalDateTime) value;
            return clock(day(at.toLocalDate()), at.toLocalTime());
        }
        if (value instanceof TimePeriod) {
            TimePeriod period = (TimePeriod) value;
            return numbers(period.getMonths(), period.getDays(), period.getMillis());
        }
        if (value instanceof BigDecimal || value instanceof UUID) {
            return JSON.textNode(value.toString());
        }
        throw new IllegalArgumentException("no conversion made a " + value.getClass());
    }

    private static ArrayNode day(LocalDate day) {
        return numbers(day.getYear(), day.getMonthValue(), day.getDayOfMonth());
    }

    private static ArrayNode clock(ArrayNode parts, LocalTime at) {
        return parts.addAll(numbers(at.getHour(), at.getMinute(), at.getSecond(), at.getNano()));
    }

    private static ArrayNode numbers(long... values) {
        ArrayNode parts = JSON.arrayNode();
        for (long value : values) {
            parts.add(value);
        }
        return parts;
    }

    private static ObjectNode tagged(String name, JsonNode value) {
        return JSON.objectNode().set(name, value);
    }

    private static JsonNode latin1(byte[] data) {
        return JSON.textNode(new String(data, StandardCharsets.ISO_8859_1));
    }
}
