import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Asks a server what it is told to ask, through the Flight SQL JDBC driver. Each line of standard input is a request, its
 * parts separated by tabs; each answer is a line of JSON with the columns and the rows, or an error.
 */
public final class Probe {
    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Connection connection = DriverManager.getConnection(args[0])) {
            out.println("{\"rows\":[[\"connected\"]]}");
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                try {
                    out.println(answer(connection, line.split("\t", -1)));
                } catch (Exception error) {
                    out.println("{\"error\":" + quoted(error.toString()) + "}");
                }
            }
        }
    }

    private static String answer(Connection connection, String[] request) throws Exception {
        DatabaseMetaData meta = connection.getMetaData();
        switch (request[0]) {
            case "query":
                try (Statement statement = connection.createStatement()) {
                    return rows(statement.executeQuery(request[1]));
                }
            case "prepared":
                try (PreparedStatement statement = connection.prepareStatement(request[1])) {
                    for (int at = 2; at < request.length; at++) {
                        bind(statement, at - 1, request[at]);
                    }
                    return rows(statement.executeQuery());
                }
            case "twice":
                try (PreparedStatement statement = connection.prepareStatement(request[1])) {
                    bind(statement, 1, request[2]);
                    String first = rows(statement.executeQuery());
                    bind(statement, 1, request[3]);
                    return "{\"first\":" + first + ",\"second\":" + rows(statement.executeQuery()) + "}";
                }
            case "update":
                try (Statement statement = connection.createStatement()) {
                    return "{\"count\":" + statement.executeUpdate(request[1]) + "}";
                }
            case "cancel":
                return cancelled(connection, request[1]);
            case "timeout":
                try (Statement statement = connection.createStatement()) {
                    statement.setQueryTimeout(Integer.parseInt(request[2]));
                    return rows(statement.executeQuery(request[1]));
                }
            case "max rows":
                try (Statement statement = connection.createStatement()) {
                    statement.setMaxRows(Integer.parseInt(request[2]));
                    return rows(statement.executeQuery(request[1]));
                }
            case "execute":
                try (Statement statement = connection.createStatement()) {
                    boolean hasRows = statement.execute(request[1]);
                    return hasRows ? rows(statement.getResultSet()) : "{\"count\":" + statement.getUpdateCount() + "}";
                }
            case "batch":
                try (PreparedStatement statement = connection.prepareStatement(request[1])) {
                    for (int at = 2; at < request.length; at++) {
                        bind(statement, 1, request[at]);
                        statement.addBatch();
                    }
                    return "{\"counts\":" + quoted(Arrays.toString(statement.executeBatch())) + "}";
                }
            case "parameters":
                try (PreparedStatement statement = connection.prepareStatement(request[1])) {
                    return parameters(statement.getParameterMetaData());
                }
            case "getters":
                try (Statement statement = connection.createStatement()) {
                    return getters(statement.executeQuery(request[1]));
                }
            case "open at once":
                try (Statement one = connection.createStatement(); Statement two = connection.createStatement()) {
                    ResultSet first = one.executeQuery(request[1]);
                    ResultSet second = two.executeQuery(request[2]);
                    first.next();
                    second.next();
                    return "{\"rows\":[[" + value(first.getObject(1)) + "," + value(second.getObject(1)) + "]]}";
                }
            case "session":
                return session(connection);
            case "set catalog":
                connection.setCatalog(request[1]);
                return "{\"rows\":[[" + quoted(connection.getCatalog()) + "]]}";
            case "set schema":
                connection.setSchema(request[1]);
                return "{\"rows\":[[" + quoted(connection.getSchema()) + "]]}";
            case "set autocommit":
                connection.setAutoCommit(Boolean.parseBoolean(request[1]));
                return "{\"rows\":[[" + connection.getAutoCommit() + "]]}";
            case "product":
                return "{\"rows\":[[" + quoted(meta.getDatabaseProductName()) + "," + meta.isReadOnly() + ","
                    + quoted(meta.getIdentifierQuoteString()) + "," + quoted(meta.getSearchStringEscape()) + ","
                    + meta.supportsTransactions() + "]]}";
            case "catalogs":
                return rows(meta.getCatalogs());
            case "schemas":
                return rows(meta.getSchemas());
            case "tables":
                return rows(meta.getTables(null, request[1], request[2], null));
            case "columns":
                return rows(meta.getColumns(null, request[1], request[2], "%"));
            case "table types":
                return rows(meta.getTableTypes());
            case "primary keys":
                return rows(meta.getPrimaryKeys(null, request[1], request[2]));
            case "imported keys":
                return rows(meta.getImportedKeys(null, request[1], request[2]));
            case "exported keys":
                return rows(meta.getExportedKeys(null, request[1], request[2]));
            case "cross reference":
                return rows(meta.getCrossReference(null, request[1], request[2], null, request[1], request[3]));
            case "tables of types":
                return rows(meta.getTables(request[1], request[2], request[3], request[4].split(",")));
            case "schemas of":
                return rows(meta.getSchemas(request[1], request[2]));
            case "types":
                return rows(meta.getTypeInfo());
            default:
                throw new IllegalArgumentException(request[0]);
        }
    }

    /** What a query that is cancelled from another thread ends with. */
    private static String cancelled(Connection connection, String sql) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    statement.cancel();
                } catch (SQLException error) {
                    throw new IllegalStateException(error);
                }
            });
            ResultSet result = statement.executeQuery(sql);
            result.next();
            canceller.start();
            canceller.join();
            long rows = 1;
            while (result.next()) {
                rows++;
            }
            return "{\"count\":" + rows + "}";
        }
    }

    private static String parameters(ParameterMetaData parameters) throws Exception {
        StringBuilder text = new StringBuilder("{\"rows\":[");
        for (int at = 1; at <= parameters.getParameterCount(); at++) {
            text.append(at > 1 ? ",[" : "[").append(quoted(parameters.getParameterTypeName(at))).append(',')
                .append(parameters.getParameterType(at)).append(']');
        }
        return text.append("]}").toString();
    }

    /** A getter of a result, which may not fit a column. */
    private interface Getter {
        Object of(ResultSet result, int column) throws Exception;
    }

    /** For each column of the first row: its class, and what each typed getter gives, or the exception. */
    private static String getters(ResultSet result) throws Exception {
        Map<String, Getter> getters = new LinkedHashMap<>();
        getters.put("object", ResultSet::getObject);
        getters.put("string", ResultSet::getString);
        getters.put("boolean", ResultSet::getBoolean);
        getters.put("byte", ResultSet::getByte);
        getters.put("short", ResultSet::getShort);
        getters.put("int", ResultSet::getInt);
        getters.put("long", ResultSet::getLong);
        getters.put("float", ResultSet::getFloat);
        getters.put("double", ResultSet::getDouble);
        getters.put("decimal", ResultSet::getBigDecimal);
        getters.put("date", ResultSet::getDate);
        getters.put("time", ResultSet::getTime);
        getters.put("timestamp", ResultSet::getTimestamp);
        getters.put("bytes", ResultSet::getBytes);
        getters.put("array", ResultSet::getArray);
        ResultSetMetaData columns = result.getMetaData();
        result.next();
        StringBuilder text = new StringBuilder("{\"rows\":[");
        for (int at = 1; at <= columns.getColumnCount(); at++) {
            text.append(at > 1 ? ",{" : "{").append("\"name\":").append(quoted(columns.getColumnLabel(at)))
                .append(",\"type\":").append(quoted(columns.getColumnTypeName(at)));
            for (Map.Entry<String, Getter> getter : getters.entrySet()) {
                text.append(",\"").append(getter.getKey()).append("\":");
                try {
                    Object found = getter.getValue().of(result, at);
                    text.append(result.wasNull() ? "null" : value(found));
                } catch (Exception | Error error) {
                    text.append("{\"error\":").append(quoted(error.toString())).append('}');
                }
            }
            text.append('}');
        }
        return text.append("]}").toString();
    }

    private static String session(Connection connection) throws Exception {
        return "{\"rows\":[[" + quoted(connection.getCatalog()) + "," + quoted(connection.getSchema()) + ","
            + connection.isValid(5) + "," + connection.getAutoCommit() + "," + connection.isReadOnly() + ","
            + connection.isClosed() + "]]}";
    }

    private static void bind(PreparedStatement statement, int at, String parameter) throws Exception {
        String value = parameter.substring(parameter.indexOf(':') + 1);
        switch (parameter.substring(0, parameter.indexOf(':'))) {
            case "int" -> statement.setInt(at, Integer.parseInt(value));
            case "long" -> statement.setLong(at, Long.parseLong(value));
            case "double" -> statement.setDouble(at, Double.parseDouble(value));
            case "float" -> statement.setFloat(at, Float.parseFloat(value));
            case "text" -> statement.setString(at, value);
            case "bool" -> statement.setBoolean(at, Boolean.parseBoolean(value));
            case "time" -> statement.setTimestamp(at, Timestamp.valueOf(value));
            case "null" -> statement.setNull(at, Types.VARCHAR);
            case "null int" -> statement.setNull(at, Types.INTEGER);
            case "null object" -> statement.setObject(at, null);
            case "byte" -> statement.setByte(at, Byte.parseByte(value));
            case "short" -> statement.setShort(at, Short.parseShort(value));
            case "decimal" -> statement.setBigDecimal(at, new BigDecimal(value));
            case "bytes" -> statement.setBytes(at, value.getBytes(StandardCharsets.UTF_8));
            case "date" -> statement.setDate(at, Date.valueOf(value));
            case "clock" -> statement.setTime(at, Time.valueOf(value));
            case "object" -> statement.setObject(at, value);
            case "object int" -> statement.setObject(at, Integer.valueOf(value));
            default -> throw new IllegalArgumentException(parameter);
        }
    }

    private static String rows(ResultSet result) throws Exception {
        ResultSetMetaData columns = result.getMetaData();
        StringBuilder text = new StringBuilder("{\"columns\":[");
        for (int at = 1; at <= columns.getColumnCount(); at++) {
            text.append(at > 1 ? "," : "").append('[').append(quoted(columns.getColumnLabel(at))).append(',')
                .append(quoted(columns.getColumnTypeName(at))).append(']');
        }
        text.append("],\"rows\":[");
        for (boolean first = true; result.next(); first = false) {
            text.append(first ? "[" : ",[");
            for (int at = 1; at <= columns.getColumnCount(); at++) {
                text.append(at > 1 ? "," : "").append(value(result.getObject(at)));
            }
            text.append(']');
        }
        result.close();
        return text.append("]}").toString();
    }

    private static String value(Object value) throws Exception {
        if (value == null) {
            return "null";
        }
        if (value instanceof Array array) {
            return quoted(Arrays.deepToString((Object[]) array.getArray()));
        }
        if (value instanceof byte[] bytes) {
            return quoted(Arrays.toString(bytes));
        }
        return quoted(value.toString());
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            switch (character) {
                case '"' -> quoted.append("\\\"");
                case '\\' -> quoted.append("\\\\");
                default -> {
                    if (character < ' ') {
                        quoted.append(String.format("\\u%04x", (int) character));
                    } else {
                        quoted.append(character);
                    }
                }
            }
        }
        return quoted.append('"').toString();
    }
}
