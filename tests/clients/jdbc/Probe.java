import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.Arrays;

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
            case "types":
                return rows(meta.getTypeInfo());
            default:
                throw new IllegalArgumentException(request[0]);
        }
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
